from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ._exit_distillation import ExitDistillation, ExitDistillationLoss
from .method import NetworkShape, method


class FinalTargetLoss(ExitDistillationLoss):
    """The final exit is the target, `t = z_E` (and `f_E`), and teaches the E - 1 others, but not itself."""

    def __init__(self, settings: "FinalTarget", shape: NetworkShape) -> None:
        super().__init__(settings, shape)
        self.student_exits = range(shape.exits - 1)

    def target(self, outputs: Sequence[Tensor]) -> Tensor:
        """What the final exit says."""
        return outputs[-1].unsqueeze(0)


@method("final_target")
@dataclass(frozen=True, kw_only=True)
class FinalTarget(ExitDistillation):
    """EED's own ablation ("EED off"): the final exit teaches the others, as in earlier self-distillation."""

    loss: ClassVar[type[FinalTargetLoss]] = FinalTargetLoss
