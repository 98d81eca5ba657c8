"""Table of the files that `exeunt clean` can remove."""

from collections.abc import Sequence

from ..clean import KINDS, Removable
from .counts import counted
from .grid import Grid

SHOWN = 10
"""Maximum number of rows for each kind; the largest items are shown."""


def rubbish_table(found: Sequence[Removable], location: str) -> Grid:
    """Return a table with a section for each kind: location in the store, and size in MiB."""
    table = Grid(title=f"in {location}", title_justify="left")
    root = location.partition("?")[0].rstrip("/") + "/"
    table.add_column("kind", overflow="fold")
    table.add_column("location", overflow="fold")
    table.add_column("MiB", justify="right", no_wrap=True)
    for kind, meaning in KINDS.items():
        of_kind = sorted((one for one in found if one.kind == kind), key=lambda one: -one.size)
        for position, one in enumerate(of_kind[:SHOWN]):
            table.add_row(meaning if position == 0 else "", str(one).removeprefix(root), _mib(one.size))
        if rest := of_kind[SHOWN:]:
            table.add_row("", f"and {len(rest)} more", _mib(sum(one.size for one in rest)))
        table.add_section()
    return table


def total(found: Sequence[Removable]) -> str:
    """Return the number of items and their size: `3 items, 120.4 MiB`."""
    return f"{counted(len(found), 'item')}, {_mib(sum(one.size for one in found))} MiB"


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f}"
