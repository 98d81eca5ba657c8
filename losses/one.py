from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..specs import NonNegative, Positive
from .functional import cross_entropy_sum, kd_loss, to_float32
from .method import Loss, LossInputs, Method, NetworkShape, Requirement, method


class ONELoss(Loss["ONE"]):
    """`L = sum_i CE(z_i, y) + CE(t, y) + w T^2 sum_i KL(softmax(sg(t) / T) || softmax(z_i / T))`, `t = sum_i g_i z_i`.

    z_i are the logits (N, C) of exit i = 1..E, sg stops the gradient. The gate
    `g = softmax(relu(batch_norm(linear(f_1))))`, (N, E), reads the features f_1 (N, W) of the shallowest exit: its
    own part of the network aside, what it sees is what all exits share. The term CE(t, y) trains the gate, and the
    exits through it.
    """

    def __init__(self, settings: "ONE", shape: NetworkShape) -> None:
        super().__init__(settings, shape)
        self.linear = nn.Linear(shape.feature_dim, shape.exits)
        self.norm = nn.BatchNorm1d(shape.exits)

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the terms `label`, `ensemble` and `output`."""
        logits = torch.stack([to_float32(z) for z in inputs.logits], dim=1)
        ensemble = (self.gate(to_float32(inputs.features[0])).unsqueeze(2) * logits).sum(dim=1)
        target = ensemble.detach()
        divergences = [kd_loss(z, target, self.settings.temperature) for z in logits.unbind(dim=1)]
        return {
            "label": cross_entropy_sum(inputs.logits, inputs.labels),
            "ensemble": F.cross_entropy(ensemble, inputs.labels),
            "output": self.settings.output_weight * torch.stack(divergences).sum(),
        }

    def gate(self, features: Tensor) -> Tensor:
        """The weight (N, E) that each image's ensemble gives each exit."""
        scores = self.linear(features)
        if len(scores) > 1 or not self.training:  # a single image has no variance
            scores = self.norm(scores)
        return scores.relu().softmax(dim=1)


@method("one")
@dataclass(frozen=True, kw_only=True)
class ONE(Method):
    """On-the-fly native ensemble: a learned gate weighs the exits, and their ensemble teaches each of them."""

    paper: ClassVar[str] = "Lan, Zhu, Gong 2018, arXiv 1806.04606"
    exits: ClassVar[Requirement] = "required"
    loss: ClassVar[type[ONELoss]] = ONELoss

    temperature: Positive = 3.0
    """Softens both distributions."""
    output_weight: NonNegative = 1.0
    """Of what the ensemble teaches; the labels' terms have weight 1."""

    def inactive_fields(self) -> frozenset[str]:
        """The temperature of a term without weight."""
        return frozenset({"temperature"} if self.output_weight == 0 else ())
