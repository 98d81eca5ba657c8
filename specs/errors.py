"""What a user did wrong, said so that the next attempt is right."""

import difflib
from collections.abc import Iterable


class SpecError(ValueError):
    """A setting breaks a rule. The message gives the rule, the value and, for a name, the nearest valid ones.

    `field` is the name of the offending field, so that a reader of files can add the place.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


def require(condition: bool, rule: str, **values: object) -> None:
    """Raises a `SpecError` with the rule and the values, the first of which is the offending field."""
    if not condition:
        got = ", ".join(f"{name}={value!r}" for name, value in values.items())
        raise SpecError(f"`{rule}` must hold, but got {got}.", field=next(iter(values)))


def unknown(kind: str, name: object, choices: Iterable[str], *, field: str | None = None) -> SpecError:
    """The error for a name that is none of the choices: `unknown("method", "ed", ["eed", "kd"])`."""
    return SpecError(f"unknown {kind} {name!r}; {nearest(str(name), choices)}.", field=field)


def nearest(name: str, choices: Iterable[str]) -> str:
    """Names the choices most like `name`, or the first of all choices where none is alike."""
    ordered = sorted(choices)
    alike = difflib.get_close_matches(name, ordered, n=3, cutoff=0.5)
    if alike:
        return "the nearest is " + " or ".join(map(repr, alike))
    if not ordered:
        return "there is none to choose from"
    shown = ", ".join(map(repr, ordered[:12]))
    return f"choose from {shown}" + (f" and {len(ordered) - 12} more" if len(ordered) > 12 else "")
