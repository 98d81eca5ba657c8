from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from ..specs import Fraction, Positive, Range
from ._torch import torch
from .functional import cross_entropy_sum, kd_loss, to_float32
from .method import Learned, LossInputs, Method, NetworkShape, Requirement, method


@method("phuong")
@dataclass(frozen=True, kw_only=True)
class DistillationBasedTraining(Method):
    """Distillation-based training: the other exits are distilled from the final exit at an annealed temperature.

    The defaults are those of the authors' program for CIFAR-100 (GitHub `mary-phuong/multiexit-distillation` at
    faff910, main.py), which multiplies its loss by `global_scale`, 10 over the number of exits.
    """

    paper: ClassVar[str] = 'Phuong, Lampert 2019, ICCV, "Distillation-based training for multi-exit architectures"'
    exits: ClassVar[Requirement] = "required"

    output_weight: Fraction = 0.5
    """Weight of the output term; the label term gets 1 - output_weight."""
    temperature: Positive = 1.0
    """Softmax temperature of both distributions at the start of the training."""
    growth: Annotated[float, Range(minimum=1)] = 1.05
    """Factor by which the temperature grows in a step; 1 keeps it constant."""
    confidence_bound: Fraction = 0.5
    """Confidence above which the temperature grows: mean top-class probability of the final exit, softened."""
    scale: Positive = 10.0
    """Factor of all terms, divided by the number of exits."""

    def build_learned(self, shape: NetworkShape) -> dict[str, torch.Tensor]:
        """Return the annealed temperature. It stays on the device, so that no step waits for the GPU."""
        return {"temperature": torch.tensor(self.temperature, dtype=torch.float32)}

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label` and `output`.

            s / E ((1 - w) sum_i CE(z_i, y) + w T^2 sum_{i < E} KL(softmax(z_E / T) || softmax(z_i / T)))

        z_i are the logits (N, C) of exit i = 1..E, and s is `scale`. No gradient flows into the target z_E.
        """
        target, factor = to_float32(inputs.logits[-1]).detach(), self.scale / len(inputs.logits)
        divergences = [kd_loss(z, target, learned["temperature"]) for z in inputs.logits[:-1]]
        return {
            "label": factor * (1 - self.output_weight) * cross_entropy_sum(inputs.logits, inputs.labels),
            "output": factor * self.output_weight * torch.stack(divergences).sum(),
        }

    def next_buffers(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the temperature, times `growth` if `mean(max_c softmax(z_E / T)) > confidence_bound`."""
        temperature = learned["temperature"]
        sureness = (to_float32(inputs.logits[-1]) / temperature).softmax(dim=1).amax(dim=1).mean()
        warmer = temperature * self.growth
        return {"temperature": torch.where(sureness > self.confidence_bound, warmer, temperature)}

    def inactive_fields(self) -> frozenset[str]:
        """Return the settings of the temperature that have no effect: without an output term, or without growth."""
        if self.output_weight == 0:
            return frozenset({"temperature", "growth", "confidence_bound"})
        if self.confidence_bound == 1:
            return frozenset({"growth"})
        return frozenset({"confidence_bound"} if self.growth == 1 else ())
