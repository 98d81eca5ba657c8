"""Common parts of `eed` and its ablation `final_target`: the exits' own outputs form the distillation target."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..specs import Fraction, NonNegative, Positive, Range
from .functional import cross_entropy_sum, masked_feature_distance, ramp, to_float32
from .method import Loss, LossInputs, Method, Requirement


class ExitDistillationLoss(Loss["ExitDistillation"]):
    """Loss `L = w_C L_C + r (w_O L_O + w_F L_F)` of the logits z_i (N, C) and features f_i (N, W) of exit i = 1..E.

        L_C = sum_i CE(z_i, y)                                          over all exits
        L_O = sum_i mean((z_i - t_z)^2)                                 output loss "mse"
            = sum_i T^2 KL(softmax(t_z / T) || softmax(z_i / T))        output loss "kl"
        L_F = sum_i mean((f_i - t_f)^2 [f_i > 0 or t_f > 0])
        r   = min(1, progress / ramp_up), or 1 without a ramp-up

    No gradient flows into the targets t_z and t_f. A subclass defines the targets and the exits in the sums of L_O
    and L_F (arXiv 2104.00299, section 3). The reductions are those of the authors' code at 146c9cf. For "kl", that
    code uses the cross-entropy to the softened target, which has a different value and the same gradient.
    """

    student_exits: Sequence[int]
    """Positions, from 0, of the exits that are distilled from the target."""
    probabilities: bool = False
    """True if targets are computed from probabilities, not from logits."""

    @abstractmethod
    def target(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return the targets from the exits' outputs (N, ...): (K, N, ...) for K taught exits, or one (1, N, ...)."""

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the term `label` and, if their weights are not 0, `output` and `feature`."""
        settings = self.settings
        share = ramp(inputs.progress, settings.ramp_up)
        terms = {"label": settings.label_weight * cross_entropy_sum(inputs.logits, inputs.labels)}
        if settings.output_weight:
            terms["output"] = share * settings.output_weight * self._output_distance(inputs.logits)
        if settings.feature_weight:
            terms["feature"] = share * settings.feature_weight * self._feature_distance(inputs.features)
        return terms

    def _output_distance(self, exit_logits: Sequence[Tensor]) -> Tensor:
        logits = [to_float32(z) for z in exit_logits]
        temperature = self.settings.temperature if self.settings.output_loss == "kl" else 1.0
        outputs = [(z / temperature).softmax(dim=1) for z in logits] if self.probabilities else logits
        target = self._target(outputs)
        if self.settings.output_loss == "mse":
            return len(self.student_exits) * (self._students(outputs) - target).square().mean()
        shares = target if self.probabilities else (target / temperature).softmax(dim=-1)
        log_students = (self._students(logits) / temperature).log_softmax(dim=-1)
        return temperature**2 / target.shape[1] * F.kl_div(log_students, shares, reduction="sum")

    def _feature_distance(self, exit_features: Sequence[Tensor]) -> Tensor:
        features = [to_float32(f) for f in exit_features]
        return len(self.student_exits) * masked_feature_distance(self._students(features), self._target(features))

    def _students(self, outputs: Sequence[Tensor]) -> Tensor:
        return torch.stack([outputs[position] for position in self.student_exits])

    @torch.no_grad()
    def _target(self, outputs: Sequence[Tensor]) -> Tensor:
        return self.target(outputs)


@dataclass(frozen=True, kw_only=True)
class ExitDistillation(Method):
    """Common settings of `eed` and `final_target`; the defaults are those of the paper."""

    paper: ClassVar[str] = "Lee, Lee 2021, arXiv 2104.00299"
    exits: ClassVar[Requirement] = "required"

    output_loss: Literal["mse", "kl"] = "mse"
    """Distance between an exit's logits and the target: mean squared error or KL divergence."""
    temperature: Positive = 3.0
    """Softmax temperature of both distributions; only used with `output_loss: kl`."""
    label_weight: Positive = 1.0
    """Weight of the label term."""
    output_weight: Annotated[float | None, Range(minimum=0)] = None
    """Weight of the output term. Default: that of the authors, 1 for mse and 0.1 for kl."""
    feature_weight: NonNegative = 1.0
    """Weight of the feature term; 0 disables it."""
    ramp_up: Fraction = 0.0
    """Share of the training over which output and feature weight rise linearly from 0; 0 keeps them constant."""

    def __post_init__(self) -> None:
        """Set the default of the output weight, which depends on the output loss."""
        super().__post_init__()
        if self.output_weight is None:
            object.__setattr__(self, "output_weight", 1.0 if self.output_loss == "mse" else 0.1)

    def inactive_fields(self) -> frozenset[str]:
        """Return the temperature if there is no softmax, and the settings of a term with weight 0."""
        if self.output_weight == 0:
            without_target = {"ramp_up"} if self.feature_weight == 0 else set()
            return frozenset({"output_loss", "temperature"} | without_target)
        return frozenset({"temperature"} if self.output_loss == "mse" else ())
