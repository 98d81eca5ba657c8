from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from ..specs import Fraction
from .functional import to_float32
from .method import Loss, LossInputs, Method, method


class LabelSmoothingLoss(Loss["LabelSmoothing"]):
    """Loss `CE(z, (1 - s) y + s / C)` with logits z (N, C), labels y as probabilities (N, C) and smoothing s."""

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the term `label`."""
        (logits,) = inputs.logits
        return {"label": F.cross_entropy(to_float32(logits), inputs.labels, label_smoothing=self.settings.smoothing)}


@method("label_smoothing")
@dataclass(frozen=True, kw_only=True)
class LabelSmoothing(Method):
    """Label smoothing: a share of each label is spread evenly over all classes."""

    paper: ClassVar[str] = "Szegedy, Vanhoucke, Ioffe, Shlens, Wojna 2016, arXiv 1512.00567, section 7"
    loss: ClassVar[type[LabelSmoothingLoss]] = LabelSmoothingLoss

    smoothing: Fraction = 0.1
    """Share of each label that is spread evenly over all classes, the correct one included."""
