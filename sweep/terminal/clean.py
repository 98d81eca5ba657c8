"""What `exeunt clean` would remove, as a table."""

from collections.abc import Sequence

from rich.table import Table

from ..clean import KINDS, Removable

SHOWN = 10
"""Of each kind, the largest."""


def rubbish_table(found: Sequence[Removable], location: str) -> Table:
    """A section for each kind, with where it is in the store at this location, and how large."""
    table = Table(title=f"in {location}", title_justify="left")
    root = location.partition("?")[0].rstrip("/") + "/"
    table.add_column("what", overflow="fold")
    table.add_column("where", overflow="fold")
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
    """How much it is: `3 things, 120.4 MiB`."""
    things = "1 thing" if len(found) == 1 else f"{len(found)} things"
    return f"{things}, {_mib(sum(one.size for one in found))} MiB"


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f}"
