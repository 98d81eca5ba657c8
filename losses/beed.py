import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..specs import NonNegative, Positive, SpecError
from .functional import geometric_weights, kd_loss, to_float32, weighted_sum
from .method import Loss, LossInputs, Method, NetworkShape, Requirement, method


class BEEDLoss(Loss["BEED"]):
    """`L = sum_i (2 - a_i) CE(z_i, y) + a_i T^2 KL(softmax(t_z / T) || softmax(z_i / T)) + w_F mean((m_i - t_m)^2)`.

    z_i are the logits (N, C) and m_i the maps (N, W, h, w) that the pooling of exit i = 1..E reads. The targets
    `t = sum_i v_i z_i` (and `sum_i v_i m_i`) have weights v_i proportional to B^(i-1), which sum to 1, and no
    gradient; `a_i = A^(E-i)` is 1 at the final exit. Where maps differ in height or width, the features (N, W) after
    the pooling take their place. KL is summed over classes, mean over the batch (hjdw2/BEED at d6af149).
    """

    def __init__(self, settings: "BEED", shape: NetworkShape) -> None:
        super().__init__(settings, shape)
        self.ensemble_weights = geometric_weights(settings.ensemble_base, shape.exits)
        self.balance = [settings.balance_base**k for k in reversed(range(shape.exits))]

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the terms `label`, `output` and, if it has a weight, `feature`."""
        logits = [to_float32(z) for z in inputs.logits]
        label_losses = [F.cross_entropy(z, inputs.labels) for z in logits]
        target = self._target(logits)
        divergences = [kd_loss(z, target, self.settings.temperature) for z in logits]
        terms = {
            "label": weighted_sum([2 - weight for weight in self.balance], label_losses),
            "output": weighted_sum(self.balance, divergences),
        }
        if self.settings.feature_weight:
            terms["feature"] = self.settings.feature_weight * self._feature_distance(inputs)
        return terms

    def _feature_distance(self, inputs: LossInputs) -> Tensor:
        assert len(inputs.feature_maps) == len(inputs.features)
        alike = len({compared.shape for compared in inputs.feature_maps}) == 1
        outputs = [to_float32(compared) for compared in (inputs.feature_maps if alike else inputs.features)]
        target = self._target(outputs)
        return torch.stack([F.mse_loss(output, target) for output in outputs]).sum()

    @torch.no_grad()
    def _target(self, outputs: Sequence[Tensor]) -> Tensor:
        return weighted_sum(self.ensemble_weights, outputs)


@method("beed")
@dataclass(frozen=True, kw_only=True)
class BEED(Method):
    """Balanced exit-ensemble distillation: deeper exits weigh more in the ensemble, shallower ones listen more to it.

    The defaults are the paper's setting.
    """

    paper: ClassVar[str] = 'Lee, Lee, "Rethinking online knowledge distillation with multi-exits", ACCV 2022'
    exits: ClassVar[Requirement] = "required"
    loss: ClassVar[type[BEEDLoss]] = BEEDLoss

    temperature: Positive = 3.0
    """Softens both distributions."""
    ensemble_base: Positive = 1.6
    """B: how many times the weight of the exit before it an exit has in the ensemble."""
    balance_base: Positive = 1.15
    """A: an exit's output weight is this many times that of the exit after it, the final exit's is 1."""
    feature_weight: NonNegative = 0.1
    """0 turns the feature loss off."""

    def check(self, exits: int, *, stages: int | None = None) -> None:
        """Refuses a balance under which an exit would be driven away from the labels."""
        super().check(exits, stages=stages)
        if self.balance_base ** (exits - 1) > 2:
            largest = math.floor(1000 * 2 ** (1 / (exits - 1))) / 1000  # rounded down, so that it is allowed
            rule = f"the label weight 2 - balance_base^{exits - 1} of the first of {exits} exits would be negative"
            raise SpecError(
                f"{rule}: balance_base is at most {largest:g}, but got {self.balance_base}.", field="balance_base"
            )
