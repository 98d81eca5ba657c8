"""Selection of exits in a setting. It is one string, because a list in a sweep file is an axis of values."""

import re

from ..specs import SpecError, nearest

ALL, FINAL = "all", "final"


def canonical_exits(written: str, *, field: str) -> str:
    """Return the canonical form of a selection: `all`, or numbers in order, then `final`, such as `1,3,final`.

    Raises:
        SpecError: for an invalid name, or for an exit that is listed twice.
    """
    names = [name.strip() for name in written.split(",")]
    if names == [ALL]:
        return ALL
    for name in names:
        if name != FINAL and not re.fullmatch(r"[1-9][0-9]*", name):
            rule = f"{nearest(name, (ALL, FINAL, '1'))}; use `all`, or numbers and `final`, such as 1,3,final"
            raise SpecError(f"unknown exit {name!r} in {written!r}; {rule}.", field=field)
        if names.count(name) > 1:
            raise SpecError(f"exit {name!r} is listed twice in {written!r}; list each exit once.", field=field)
    return ",".join(sorted(names, key=lambda name: (name == FINAL, 0 if name == FINAL else int(name))))


def all_if_all(names: str, exits: int) -> str:
    """Return `all` if the canonical names cover all `exits` exits; return other names unchanged."""
    return ALL if names.split(",") == _all_exits(exits) else names


def exit_positions(names: str, exits: int, *, field: str) -> tuple[int, ...]:
    """Return the positions, from 0, of the named exits in a network with `exits` exits.

    Raises:
        SpecError: for an exit that the network does not have.
    """
    present = _all_exits(exits)
    chosen = present if names == ALL else names.split(",")
    for name in chosen:
        if name not in present:
            raise SpecError(f"the network has no exit {name!r}; its exits are {', '.join(present)}.", field=field)
    return tuple(present.index(name) for name in chosen)


def _all_exits(exits: int) -> list[str]:
    return [*map(str, range(1, exits)), FINAL]
