"""Names of exits in a setting, as one string so that a list in a sweep file stays an axis."""

import re

from ..specs import SpecError, nearest

ALL, FINAL = "all", "final"


def canonical_exits(written: str, *, field: str) -> str:
    """One way of writing each choice of exits: `all`, or numbers in order, then `final`, such as `1,3,final`.

    Raises:
        SpecError: for what is neither, or is named twice.
    """
    names = [name.strip() for name in written.split(",")]
    if names == [ALL]:
        return ALL
    for name in names:
        if name != FINAL and not re.fullmatch(r"[1-9][0-9]*", name):
            rule = f"{nearest(name, (ALL, FINAL, '1'))}; write all, or numbers and final (1,3,final)"
            raise SpecError(f"there is no exit {name!r} in {written!r}; {rule}.", field=field)
        if names.count(name) > 1:
            raise SpecError(f"exit {name!r} is named twice in {written!r}.", field=field)
    return ",".join(sorted(names, key=lambda name: (name == FINAL, 0 if name == FINAL else int(name))))


def all_if_all(names: str, exits: int) -> str:
    """`all` for the canonical names of all of this many exits; other names as they are."""
    return ALL if names.split(",") == _all_exits(exits) else names


def exit_positions(names: str, exits: int, *, field: str) -> tuple[int, ...]:
    """Where the named exits stand among this many, from 0.

    Raises:
        SpecError: for an exit that the network does not have.
    """
    present = _all_exits(exits)
    chosen = present if names == ALL else names.split(",")
    for name in chosen:
        if name not in present:
            raise SpecError(f"the network has no exit {name!r}, but {', '.join(present)}.", field=field)
    return tuple(present.index(name) for name in chosen)


def _all_exits(exits: int) -> list[str]:
    return [*map(str, range(1, exits)), FINAL]
