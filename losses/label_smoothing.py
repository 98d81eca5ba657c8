from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..specs import Fraction
from ._torch import F, torch
from .functional import to_float32
from .method import Learned, LossInputs, Method, method


@method("label_smoothing")
@dataclass(frozen=True, kw_only=True)
class LabelSmoothing(Method):
    """Label smoothing: a share of each label is spread evenly over all classes."""

    paper: ClassVar[str] = "Szegedy, Vanhoucke, Ioffe, Shlens, Wojna 2016, arXiv 1512.00567, section 7"

    smoothing: Fraction = 0.1
    """Share of each label that is spread evenly over all classes, the correct one included."""

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the term `label`, `CE(z, (1 - s) y + s / C)`: logits z and labels y (N, C), smoothing s."""
        (logits,) = inputs.logits
        return {"label": F.cross_entropy(to_float32(logits), inputs.labels, label_smoothing=self.smoothing)}
