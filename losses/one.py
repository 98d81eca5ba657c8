from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..specs import Fraction, NonNegative, Positive
from ._torch import F, nn, torch
from .functional import cross_entropy_sum, kd_loss, scaled, sigmoid_ramp, to_float32
from .method import Learned, LossInputs, Method, NetworkShape, Requirement, method


@method("one")
@dataclass(frozen=True, kw_only=True)
class ONE(Method):
    """On-the-fly native ensemble: each exit is distilled from an ensemble of the exits with a learned gate.

    The defaults are those of the authors' program for CIFAR (GitHub `Lan1991Xu/ONE_NeurIPS2018` at 54afde3,
    cifar_one.py), whose ramp-up takes 80 of 300 epochs. That program counts epochs from 0, so its ramp-up is one epoch
    behind this one. Its branches are copies of the last stage; here they are the exits.
    """

    paper: ClassVar[str] = "Lan, Zhu, Gong 2018, arXiv 1806.04606"
    exits: ClassVar[Requirement] = "required"

    temperature: Positive = 3.0
    """Softmax temperature of both distributions."""
    output_weight: NonNegative = 1.0
    """Weight of the output term; the label and ensemble terms have weight 1."""
    ramp_up: Fraction = 80 / 300
    """Share of the training over which the output weight rises smoothly from 0.7% of its value; 0 keeps it constant."""

    def build_learned(self, shape: NetworkShape) -> dict[str, nn.Module]:
        """Return the linear layer and the batch normalisation of the gate."""
        return {"linear": nn.Linear(shape.feature_dim, shape.exits), "norm": nn.BatchNorm1d(shape.exits)}

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label`, `ensemble` and `output`.

            sum_i CE(z_i, y) + CE(t, y) + r w T^2 sum_i KL(softmax(sg(t) / T) || softmax(z_i / T)),  t = sum_i g_i z_i
            r = exp(-5 (1 - min(progress / ramp_up, 1))^2)

        z_i are the logits (N, C) of exit i = 1..E; sg stops the gradient. The gate
        `g = softmax(relu(batch_norm(linear(f_1))))`, (N, E), reads the features f_1 (N, W) of the shallowest exit,
        whose input is shared by all exits. The term CE(t, y) trains the gate, and the exits through it.
        """
        scores = learned["linear"](to_float32(inputs.features[0]))
        if len(scores) > 1 or not learned["norm"].training:  # a single image has no variance
            scores = learned["norm"](scores)
        gate = scores.relu().softmax(dim=1)
        logits = torch.stack([to_float32(z) for z in inputs.logits], dim=1)
        ensemble = (gate.unsqueeze(2) * logits).sum(dim=1)
        divergences = [kd_loss(z, ensemble.detach(), self.temperature) for z in logits.unbind(dim=1)]
        return {
            "label": cross_entropy_sum(inputs.logits, inputs.labels),
            "ensemble": F.cross_entropy(ensemble, inputs.labels),
            "output": scaled(
                sigmoid_ramp(inputs.progress, self.ramp_up) * self.output_weight, torch.stack(divergences).sum()
            ),
        }

    def inactive_fields(self) -> frozenset[str]:
        """Return the settings of the output term if it has weight 0."""
        return frozenset({"temperature", "ramp_up"} if self.output_weight == 0 else ())
