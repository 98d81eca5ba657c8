"""Common settings of `eed` and its ablation `final_target`: the exits' own outputs form the distillation target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from ..specs import Fraction, NonNegative, Positive, Range
from ._torch import torch
from .functional import EED_OUTPUT_WEIGHT, eed_loss, ramp
from .method import LossInputs, Method, Requirement


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
            object.__setattr__(self, "output_weight", EED_OUTPUT_WEIGHT[self.output_loss])

    def _terms(self, inputs: LossInputs, **target: Any) -> dict[str, torch.Tensor]:
        """Return the terms of `eed_loss` with these settings; `target` are its arguments for exits and ensemble."""
        return eed_loss(
            inputs.logits,
            inputs.features,
            inputs.labels,
            output_loss=self.output_loss,
            temperature=self.temperature,
            label_weight=self.label_weight,
            output_weight=self.output_weight,
            feature_weight=self.feature_weight,
            distillation_weight=ramp(inputs.progress, self.ramp_up),
            **target,
        )

    def inactive_fields(self) -> frozenset[str]:
        """Return the temperature if there is no softmax, and the settings of a term with weight 0."""
        if self.output_weight == 0:
            without_target = {"ramp_up"} if self.feature_weight == 0 else set()
            return frozenset({"output_loss", "temperature"} | without_target)
        return frozenset({"temperature"} if self.output_loss == "mse" else ())
