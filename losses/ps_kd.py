from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from ..specs import Fraction
from .functional import cross_entropy_sum, to_float32
from .method import Loss, LossInputs, Method, method


class PSKDLoss(Loss["PSKD"]):
    """`CE(z, (1 - a_t) y + a_t softmax(z_past))`, with `a_t = alpha * progress`.

    z and z_past are the logits (N, C) of the same images now and in the epoch before. In the first epoch there are
    none, and the loss is CE(z, y). The cross-entropy is linear in its target, so the two shares are two terms.
    In epoch t = 1..T the share is alpha t / T, as in the authors' program. Labels must name one class: a mixed image
    was another mixture in the epoch before.
    """

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the term `label` and, after the first epoch, `past`."""
        label = cross_entropy_sum(inputs.logits, inputs.labels)
        if inputs.previous_epoch_logits is None:
            return {"label": label}
        (logits,) = inputs.logits
        share = self.settings.alpha * inputs.progress
        logits = to_float32(logits)
        target = to_float32(inputs.previous_epoch_logits.detach()).softmax(dim=1).to(logits.dtype)
        return {"label": (1 - share) * label, "past": share * F.cross_entropy(logits, target)}


@method("ps_kd")
@dataclass(frozen=True, kw_only=True)
class PSKD(Method):
    """Progressive self-distillation: what the network said in the epoch before takes over more and more of a label."""

    paper: ClassVar[str] = "Kim, Ji, Yoon, Hwang 2021, arXiv 2006.12000"
    loss: ClassVar[type[PSKDLoss]] = PSKDLoss
    needs_previous_epoch: ClassVar[bool] = True
    requires_hard_labels: ClassVar[bool] = True

    alpha: Fraction = 0.8
    """The past's share of the target at the end of the training; it grows from 0 in proportion to the progress."""
