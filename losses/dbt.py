from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from ..specs import Fraction, Positive, Range
from .functional import cross_entropy_sum, kd_loss, to_float32
from .method import Loss, LossInputs, Method, NetworkShape, Requirement, method


class PhuongLoss(Loss["Phuong"]):
    """Loss `(1 - w) sum_i CE(z_i, y) + w T^2 sum_{i < E} KL(softmax(z_E / T) || softmax(z_i / T))` with annealed T.

    z_i are the logits (N, C) of exit i = 1..E. No gradient flows into the target z_E. After each step in which the
    confidence of the final exit exceeds a bound, `mean(max_c softmax(z_E / T)) > confidence_bound`, T is multiplied
    by `growth`. T is a buffer of the module; the loss never copies it to the CPU, so that no step waits for the GPU.
    """

    temperature: Tensor

    def __init__(self, settings: "Phuong", shape: NetworkShape) -> None:
        super().__init__(settings, shape)
        self.register_buffer("temperature", torch.tensor(settings.temperature, dtype=torch.float32))

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the terms `label` and `output`; in training mode, also anneal the temperature."""
        weight = self.settings.output_weight
        temperature = self.temperature.clone()  # the backward pass needs the value of this step
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
    """Distillation-based training: the other exits are distilled from the final exit at an annealed temperature."""

    paper: ClassVar[str] = 'Phuong, Lampert 2019, ICCV, "Distillation-based training for multi-exit architectures"'
    exits: ClassVar[Requirement] = "required"
    loss: ClassVar[type[PhuongLoss]] = PhuongLoss

    output_weight: Fraction = 0.5
    """Weight of the output term; the label term gets 1 - output_weight."""
    temperature: Positive = 1.0
    """Softmax temperature of both distributions at the start of the training."""
    growth: Annotated[float, Range(minimum=1)] = 1.05
    """Factor by which the temperature grows in a step; 1 keeps it constant."""
    confidence_bound: Fraction = 0.5
    """Confidence above which the temperature grows: mean top-class probability of the final exit, softened."""

    def inactive_fields(self) -> frozenset[str]:
        """Return the settings of the temperature that have no effect: without an output term, or without growth."""
        if self.output_weight == 0:
            return frozenset({"temperature", "growth", "confidence_bound"})
        if self.confidence_bound == 1:
            return frozenset({"growth"})
        return frozenset({"confidence_bound"} if self.growth == 1 else ())
