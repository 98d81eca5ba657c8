from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ._torch import torch
from .functional import cross_entropy_sum
from .method import Learned, LossInputs, Method, method


@method("baseline")
@dataclass(frozen=True, kw_only=True)
class Baseline(Method):
    """Supervised training on the labels, without distillation."""

    paper: ClassVar[str] = "none: ordinary supervised training"

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the term `label`, `CE(z, y)`: the cross-entropy of the final exit."""
        return {"label": cross_entropy_sum(inputs.logits, inputs.labels)}
