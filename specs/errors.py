"""Errors in values that a user wrote. Each message gives the value and the allowed or nearest values."""

import difflib
from collections.abc import Iterable


class SpecError(ValueError):
    """Invalid value of a field. The message gives the rule, the value and, for a name, the nearest valid names.

    `field` is the name of the invalid field, from which the parser of a file finds the line.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


def require(condition: bool, rule: str, **values: object) -> None:
    """Raise a `SpecError` with the rule and the values if `condition` is false; the first value names the field."""
    if not condition:
        got = ", ".join(f"{name}={value!r}" for name, value in values.items())
        raise SpecError(f"`{rule}` must hold, but got {got}.", field=next(iter(values)))


def unknown(kind: str, name: object, choices: Iterable[str], *, field: str | None = None) -> SpecError:
    """Return the error for a name that is not one of the choices: `unknown("method", "ed", ["eed", "kd"])`."""
    return SpecError(f"unknown {kind} {name!r}; {nearest(str(name), choices)}.", field=field)


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return a phrase that names the choices nearest to `name`, or the first 12 choices if none is similar."""
    ordered = sorted(choices)
    alike = difflib.get_close_matches(name, ordered, n=3, cutoff=0.5)
    if alike:
        return "the nearest is " + " or ".join(map(repr, alike))
    if not ordered:
        return "no choices are available"
    shown = ", ".join(map(repr, ordered[:12]))
    return f"choose from {shown}" + (f" and {len(ordered) - 12} more" if len(ordered) > 12 else "")
