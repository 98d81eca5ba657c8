"""Settings of a network: its architecture and its exits."""

from dataclasses import dataclass

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

    placement: str = "none"
    """Positions of the exits: `none`, or a list of `all`, stages (`1,3`), blocks (`block4`) and shares of the
    multiply-adds (`25%`), separated by commas."""
    head: str = "conv"
    """Name of the head of all exits."""

    def __post_init__(self) -> None:
        """Raise `SpecError` for an unknown head; the placement is checked later, against the architecture."""
        super().__post_init__()
        heads.check(self.head)

    def inactive_fields(self) -> frozenset[str]:
        """Return the head if there are no exits."""
        return frozenset({"head"} if self.placement == "none" else ())
