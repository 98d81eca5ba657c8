from dataclasses import dataclass

import torch
from torch import Tensor

from .exit_distillation import ExitDistillation, ExitDistillationLoss
from .method import NetworkShape, method


class EEDLoss(ExitDistillationLoss):
    """The target is the ensemble of all exits, `t = mean_i z_i` (and `mean_i f_i`), and teaches all of them."""

    def target(self, outputs: tuple[Tensor, ...]) -> Tensor:
        """The mean over the exits."""
        return torch.stack(outputs).mean(dim=0)

    def taught(self, outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """All exits, the final one included."""
        return outputs


@method("eed")
@dataclass(frozen=True, kw_only=True)
class EED(ExitDistillation):
    """Exit-ensemble distillation: all exits learn from the labels and from the ensemble of the exits."""

    def build(self, shape: NetworkShape) -> EEDLoss:
        """The loss for a network with at least one exit besides its final one."""
        assert shape.exits > 1
        return EEDLoss(self)
