"""Settings of a network: its architecture and its exits."""

from dataclasses import dataclass
from typing import ClassVar

from ..specs import Spec
from .architectures import architectures
from .heads import heads


@dataclass(frozen=True, kw_only=True)
class ArchitectureSpec(Spec):
    """Architecture of the backbone."""

    name: str
    """Name of a registered architecture."""

    def __post_init__(self) -> None:
        """Raise `SpecError` for an unknown architecture."""
        super().__post_init__()
        architectures.check(self.name)


@dataclass(frozen=True, kw_only=True)
class ExitSpec(Spec):
    """Placement and head of the exits besides the network's own classifier."""

    later_fields: ClassVar[frozenset[str]] = frozenset({"gradient_equilibrium"})

    placement: str = "none"
    """Positions of the exits: `none`, or a list of `all`, stages (`1,3`), blocks (`block4`) and shares of the
    multiply-adds (`25%`), separated by commas."""
    head: str = "conv"
    """Name of the head of all exits."""
    gradient_equilibrium: bool = False
    """True to divide the gradient that reaches an exit's tap by the number of exits behind it.

    Before each of the E exits, the sum of the gradients of k remaining exits is divided by k, so that its size does not
    grow towards the first layers. Source: Li et al. 2019, ICCV, "Improved techniques for training adaptive deep
    networks" (GitHub `kalviny/IMTA` at 0e82bec, models/msdnet_ge.py).
    """

    def __post_init__(self) -> None:
        """Raise `SpecError` for an unknown head; the placement is checked later, against the architecture."""
        super().__post_init__()
        heads.check(self.head)

    def inactive_fields(self) -> frozenset[str]:
        """Return the other settings if there are no exits."""
        return frozenset({"head", "gradient_equilibrium"} if self.placement == "none" else ())
