"""What `eed` and its ablation `final_target` have in common: the exits learn from a target they make themselves."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..specs import NonNegative, Positive, Range
from .method import Loss, LossInputs, Method, Need
from .terms import in_full, label_loss, masked_feature_distance, softened_divergence

Distance = Callable[[Tensor, Tensor], Tensor]


class ExitDistillationLoss(Loss):
    """`L = L_C + w_O L_O + w_F L_F`, with z_i the logits (N, C) and f_i the features (N, W) of exit i = 1..E.

        L_C = sum_i CE(z_i, y)                                          over all exits
        L_O = sum_i mean((z_i - t_z)^2)                                 output loss "mse"
            = sum_i T^2 KL(softmax(t_z / T) || softmax(z_i / T))        output loss "kl"
        L_F = sum_i mean((f_i - t_f)^2 [f_i > 0 or t_f > 0])

    No gradient flows into the targets t_z and t_f. What they are, and which exits the sums over L_O and L_F
    run, a subclass says (arXiv 2104.00299, section 3; reductions as in the authors' program at 146c9cf).
    """

    def __init__(self, settings: "ExitDistillation") -> None:
        super().__init__()
        self.settings = settings

    @abstractmethod
    def target(self, outputs: tuple[Tensor, ...]) -> Tensor:
        """The target that the exits' logits or features make, of the shape of one of them."""

    @abstractmethod
    def taught(self, outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The logits or features of those exits that learn from the target."""

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the terms `label`, `output` and, if it has a weight, `feature`."""
        settings = self.settings
        assert settings.output_weight is not None
        terms = {
            "label": label_loss(inputs.logits, inputs.labels),
            "output": settings.output_weight * self._distances(self._output_distance, inputs.logits),
        }
        if settings.feature_weight:
            terms["feature"] = settings.feature_weight * self._distances(masked_feature_distance, inputs.features)
        return terms

    def _distances(self, distance: Distance, outputs: tuple[Tensor, ...]) -> Tensor:
        outputs = tuple(in_full(output) for output in outputs)
        target = self.target(outputs).detach()
        return torch.stack([distance(output, target) for output in self.taught(outputs)]).sum()

    def _output_distance(self, logits: Tensor, target: Tensor) -> Tensor:
        if self.settings.output_loss == "mse":
            return F.mse_loss(logits, target)
        return softened_divergence(logits, target, self.settings.temperature)


@dataclass(frozen=True, kw_only=True)
class ExitDistillation(Method):
    """Settings of the exits' own distillation; the defaults are the authors'."""

    paper: ClassVar[str] = "Lee, Lee 2021, arXiv 2104.00299"
    exits: ClassVar[Need] = "required"

    output_loss: Literal["mse", "kl"] = "mse"
    """How far an exit's logits are from the target's."""
    temperature: Positive = 3.0
    """Softens both distributions; only under `output_loss: kl`."""
    output_weight: Annotated[float | None, Range(minimum=0)] = None
    """Left out, it is the authors': 1 for mse, 0.1 for kl."""
    feature_weight: NonNegative = 1.0
    """0 turns the feature loss off."""

    def __post_init__(self) -> None:
        """Settles the output weight, which depends on the output loss."""
        super().__post_init__()
        if self.output_weight is None:
            object.__setattr__(self, "output_weight", 1.0 if self.output_loss == "mse" else 0.1)

    def irrelevant_fields(self) -> frozenset[str]:
        """The temperature, where no softmax is taken; of a term without weight, all that shapes it."""
        if self.output_weight == 0:
            return frozenset({"output_loss", "temperature"})
        return frozenset({"temperature"} if self.output_loss == "mse" else ())
