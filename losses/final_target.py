from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ._exit_distillation import ExitDistillation, ExitDistillationLoss
from .method import NetworkShape, method


class FinalTargetLoss(ExitDistillationLoss):
    """Exit distillation from the final exit: the targets of the E - 1 other exits are z_E and f_E."""

    def __init__(self, settings: "FinalTarget", shape: NetworkShape) -> None:
        super().__init__(settings, shape)
        self.student_exits = range(shape.exits - 1)

    def target(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return the output of the final exit, (1, N, ...)."""
        return outputs[-1].unsqueeze(0)


@method("final_target")
@dataclass(frozen=True, kw_only=True)
class FinalTarget(ExitDistillation):
    """Ablation of EED ("EED off" in the paper): the other exits are distilled from the final exit."""

    loss: ClassVar[type[FinalTargetLoss]] = FinalTargetLoss
