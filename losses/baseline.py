from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from .functional import cross_entropy_sum
from .method import Loss, LossInputs, Method, method


class BaselineLoss(Loss["Baseline"]):
    """Cross-entropy of the only exit: `CE(z, y)`."""

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the term `label`."""
        return {"label": cross_entropy_sum(inputs.logits, inputs.labels)}


@method("baseline")
@dataclass(frozen=True, kw_only=True)
class Baseline(Method):
    """The network alone, trained on the labels."""

    paper: ClassVar[str] = "none: ordinary supervised training"
    loss: ClassVar[type[BaselineLoss]] = BaselineLoss
