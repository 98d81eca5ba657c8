"""Errors in values that a user wrote. Each message gives the value and the allowed or nearest values."""

import difflib
from collections.abc import Iterable

from .synonyms import SYNONYMS, simplified

SHOWN = 40
"""Largest number of choices in a message."""


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
    """Return a phrase that names the choices that `name` may mean, or else the first 40 choices.

    Case, dashes and spaces do not count, and the words of the field are known (`lr`, `tau`, `WRN-40-2`).
    """
    ordered = sorted(choices)
    by_form = {simplified(choice): choice for choice in reversed(ordered)}
    form = simplified(name)
    alike = [by_form[form]] if form in by_form else [word for word in SYNONYMS.get(form, ()) if word in ordered]
    if not alike:
        alike = [by_form[close] for close in difflib.get_close_matches(form, by_form, n=3, cutoff=0.5)]
    if not alike:  # names of signs alone
        alike = difflib.get_close_matches(name, ordered, n=3, cutoff=0.5)
    if alike:
        return "the nearest is " + " or ".join(map(repr, alike))
    if not ordered:
        return "no choices are available"
    shown = ", ".join(map(repr, ordered[:SHOWN]))
    return f"choose from {shown}" + (f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else "")
