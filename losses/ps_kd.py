from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..specs import Fraction
from ._torch import F, torch
from .functional import cross_entropy_sum, scaled, to_float32
from .method import Learned, LossInputs, Method, method


@method("ps_kd")
@dataclass(frozen=True, kw_only=True)
class PSKD(Method):
    """Progressive self-knowledge distillation: a growing share of the target is the previous epoch's prediction."""

    paper: ClassVar[str] = "Kim, Ji, Yoon, Hwang 2021, arXiv 2006.12000"
    needs_previous_epoch: ClassVar[bool] = True
    requires_hard_labels: ClassVar[bool] = True

    alpha: Fraction = 0.8
    """Share of the previous epoch's prediction in the target at the end of the training; it grows linearly from 0."""

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the term `label` and, after the first epoch, `past`, of `CE(z, (1 - a_t) y + a_t softmax(z_past))`.

        z and z_past are the logits (N, C) of the same images in this epoch and the previous one. In the first epoch,
        the loss is CE(z, y). The cross-entropy is linear in its target, so each of the two targets has its own term. In
        epoch t = 1..T the share is `a_t = alpha t / T`, as in the authors' code. Each label must be one class, because
        a mixed image is a different mixture in each epoch.
        """
        label = cross_entropy_sum(inputs.logits, inputs.labels)
        if inputs.previous_epoch_logits is None:
            return {"label": label}
        (logits,) = inputs.logits
        share = self.alpha * inputs.progress
        logits = to_float32(logits)
        target = to_float32(inputs.previous_epoch_logits.detach()).softmax(dim=1).to(logits.dtype)
        return {"label": scaled(1 - share, label), "past": scaled(share, F.cross_entropy(logits, target))}
