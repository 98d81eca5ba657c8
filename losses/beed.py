from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..specs import NonNegative, Positive, SpecError
from ._torch import F, torch
from .functional import geometric_weights, kd_loss, to_float32, weighted_sum
from .method import Learned, LossInputs, Method, Requirement, method


@method("beed")
@dataclass(frozen=True, kw_only=True)
class BEED(Method):
    """Balanced exit-ensemble distillation: deeper exits get more ensemble weight, shallower exits more output weight.

    The defaults are those of the paper.
    """

    paper: ClassVar[str] = 'Lee, Lee, "Rethinking online knowledge distillation with multi-exits", ACCV 2022'
    exits: ClassVar[Requirement] = "required"

    temperature: Positive = 3.0
    """Softmax temperature of both distributions."""
    ensemble_base: Positive = 1.6
    """B in the paper: ratio of the ensemble weights of an exit and the exit before it."""
    balance_base: Positive = 1.15
    """A in the paper: ratio of the output weights of an exit and the exit after it; the final exit has weight 1."""
    feature_weight: NonNegative = 0.1
    """Weight of the feature term; 0 disables it."""

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label`, `output` and, if its weight is not 0, `feature`, summed over the exits i = 1..E.

            (2 - a_i) CE(z_i, y) + a_i T^2 KL(softmax(t_z / T) || softmax(z_i / T)) + w_F mean((m_i - t_m)^2)

        z_i are the logits (N, C) and m_i the maps (N, W, h, w) that the pooling of exit i reads. The targets are
        `t_z = sum_i v_i z_i` and `t_m = sum_i v_i m_i`, without gradient. Their weights v_i are proportional to B^(i-1)
        and sum to 1. The balance `a_i = A^(E-i)` is 1 at the final exit. If maps differ in height or width, the
        features (N, W) after the pooling replace them. KL is summed over classes, mean over the batch (hjdw2/BEED at
        d6af149).
        """
        z = [to_float32(exit_logits) for exit_logits in inputs.logits]
        balance = [self.balance_base**k for k in reversed(range(len(z)))]
        target = self._target(z)
        terms = {
            "label": weighted_sum([2 - a for a in balance], [F.cross_entropy(z_i, inputs.labels) for z_i in z]),
            "output": weighted_sum(balance, [kd_loss(z_i, target, self.temperature) for z_i in z]),
        }
        if self.feature_weight:
            assert len(inputs.feature_maps) == len(inputs.features)
            of_one_size = len({compared.shape for compared in inputs.feature_maps}) == 1
            m = [to_float32(compared) for compared in (inputs.feature_maps if of_one_size else inputs.features)]
            target = self._target(m)
            terms["feature"] = self.feature_weight * torch.stack([F.mse_loss(m_i, target) for m_i in m]).sum()
        return terms

    def _target(self, outputs: Sequence[torch.Tensor]) -> torch.Tensor:
        with torch.no_grad():
            return weighted_sum(geometric_weights(self.ensemble_base, len(outputs)), outputs)

    def check(self, exits: int, *, stages: int | None = None) -> None:
        """Raise `SpecError` if the balance gives an exit a negative label weight."""
        super().check(exits, stages=stages)
        if self.balance_base ** (exits - 1) > 2:
            largest = math.floor(1000 * 2 ** (1 / (exits - 1))) / 1000  # rounded down, so that it is allowed
            rule = f"balance_base must be at most {largest:g}, but got {self.balance_base}"
            reason = f"the label weight of the first of {exits} exits, 2 - balance_base^{exits - 1}, would be negative"
            raise SpecError(f"{rule}: {reason}.", field="balance_base")
