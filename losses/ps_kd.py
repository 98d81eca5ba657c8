from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from ..specs import Fraction
from .method import Loss, LossInputs, Method, NetworkShape, method
from .terms import in_full, label_loss


class PSKDLoss(Loss):
    """`CE(z, (1 - a_t) y + a_t softmax(z_past))`, with `a_t = alpha * progress`.

    z and z_past are the logits (N, C) of the same images now and in the epoch before. In the first epoch there are
    none, and the loss is CE(z, y). The cross-entropy is linear in its target, so the two shares are two terms.
    `progress` is what is done before the step, so that in epoch t = 1..T of a trainer that counts whole epochs
    a_t = alpha (t - 1) / T; the authors' program has alpha t / T.
    """

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the term `label` and, after the first epoch, `past`."""
        label = label_loss(inputs.logits, inputs.labels)
        if inputs.past_logits is None:
            return {"label": label}
        (logits,) = inputs.logits
        share = self.alpha * inputs.progress
        logits = in_full(logits)
        target = in_full(inputs.past_logits.detach()).softmax(dim=1).to(logits.dtype)
        return {"label": (1 - share) * label, "past": share * F.cross_entropy(logits, target)}


@method("ps_kd")
@dataclass(frozen=True, kw_only=True)
class PSKD(Method):
    """Progressive self-distillation: what the network said in the epoch before takes over more and more of a label."""

    paper: ClassVar[str] = "Kim, Ji, Yoon, Hwang 2021, arXiv 2006.12000"
    needs_past: ClassVar[bool] = True

    alpha: Fraction = 0.8
    """The past's share of the target at the end of the training; it grows from 0 in proportion to the progress."""

    def build(self, shape: NetworkShape) -> PSKDLoss:
        """The loss for a network without exits besides its own classifier."""
        assert shape.exits == 1
        return PSKDLoss(self.alpha)
