from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from ..specs import Fraction, Positive, Range
from .functional import cross_entropy_sum, kd_loss, to_float32
from .method import Loss, LossInputs, Method, NetworkShape, Requirement, method


class PhuongLoss(Loss["Phuong"]):
    """`L = (1 - w) sum_i CE(z_i, y) + w T^2 sum_{i < E} KL(softmax(z_E / T) || softmax(z_i / T))`, where T grows.

    z_i are the logits (N, C) of exit i = 1..E; no gradient flows into the target z_E. After each step in which
    the final exit is surer than the bound, `mean(max_c softmax(z_E / T)) > confidence_bound`, T is multiplied
    by `growth`. T is part of the module's state, and never read by the host.
    """

    temperature: Tensor

    def __init__(self, settings: "Phuong", shape: NetworkShape) -> None:
        super().__init__(settings, shape)
        self.register_buffer("temperature", torch.tensor(settings.temperature, dtype=torch.float32))

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the terms `label` and `output`; in training mode, anneals the temperature."""
        weight = self.settings.output_weight
        temperature = self.temperature.clone()  # the one of this step, which its backward pass needs
        target = to_float32(inputs.logits[-1]).detach()
        divergences = [kd_loss(z, target, temperature) for z in inputs.logits[:-1]]
        if self.training:
            sureness = (target / temperature).softmax(dim=1).amax(dim=1).mean()
            warmer = temperature * self.settings.growth
            self.temperature.copy_(torch.where(sureness > self.settings.confidence_bound, warmer, temperature))
        return {
            "label": (1 - weight) * cross_entropy_sum(inputs.logits, inputs.labels),
            "output": weight * torch.stack(divergences).sum(),
        }


@method("phuong")
@dataclass(frozen=True, kw_only=True)
class Phuong(Method):
    """The final exit of a multi-exit network teaches the others, at a temperature that rises as it gets surer."""

    paper: ClassVar[str] = 'Phuong, Lampert 2019, ICCV, "Distillation-based training for multi-exit architectures"'
    exits: ClassVar[Requirement] = "required"
    loss: ClassVar[type[PhuongLoss]] = PhuongLoss

    output_weight: Fraction = 0.5
    """Of what the final exit teaches; the labels get the rest."""
    temperature: Positive = 1.0
    """At the start of the training."""
    growth: Annotated[float, Range(minimum=1)] = 1.05
    """What the temperature is multiplied by; 1 keeps it constant."""
    confidence_bound: Fraction = 0.5
    """The mean largest softened probability of the final exit above which the temperature grows."""

    def inactive_fields(self) -> frozenset[str]:
        """The temperature of a term without weight; the bound of a temperature that does not grow."""
        if self.output_weight == 0:
            return frozenset({"temperature", "growth", "confidence_bound"})
        if self.confidence_bound == 1:
            return frozenset({"growth"})
        return frozenset({"confidence_bound"} if self.growth == 1 else ())
