from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from .method import Loss, LossInputs, Method, method
from .terms import label_loss


class BaselineLoss(Loss["Baseline"]):
    """Cross-entropy of the only exit: `CE(z, y)`."""

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the term `label`."""
        return {"label": label_loss(inputs.logits, inputs.labels)}


@method("baseline")
@dataclass(frozen=True, kw_only=True)
class Baseline(Method):
    """The network alone, trained on the labels."""

    paper: ClassVar[str] = "none: ordinary supervised training"
    loss: ClassVar[type[BaselineLoss]] = BaselineLoss
