from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from .functional import cross_entropy_sum
from .method import Loss, LossInputs, Method, method


class BaselineLoss(Loss["Baseline"]):
    """Loss `CE(z, y)`: the cross-entropy of the final exit."""

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the term `label`."""
        return {"label": cross_entropy_sum(inputs.logits, inputs.labels)}


@method("baseline")
@dataclass(frozen=True, kw_only=True)
class Baseline(Method):
    """Supervised training on the labels, without distillation."""

    paper: ClassVar[str] = "none: ordinary supervised training"
    loss: ClassVar[type[BaselineLoss]] = BaselineLoss
