from __future__ import annotations

from dataclasses import dataclass

from ._exit_distillation import ExitDistillation
from ._torch import torch
from .method import Learned, LossInputs, method


@method("final_target")
@dataclass(frozen=True, kw_only=True)
class FinalTarget(ExitDistillation):
    """Ablation of EED ("EED off" in the paper): the other exits are distilled from the final exit."""

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms of `eed_loss`: the targets of the E - 1 other exits are z_E and f_E."""
        final = len(inputs.logits) - 1
        return self._terms(inputs, weights={final: 1.0}, taught=range(final))
