"""Conversion of file values to specs, with errors that name the place, the value and the rule."""

import functools
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, TypeVar, get_origin, get_type_hints

import pydantic

from ...specs import Registry, SpecError, nearest
from .yaml_document import Document, Place

Value = TypeVar("Value")

UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
IN_YAML_TERMS = {
    "a valid array": "a list",
    "an object": "a mapping of keys to values",
    "a valid dictionary": "a mapping of keys to values",
    "a valid integer": "an integer",
    "a valid number": "a number",
    "a valid string": "text",
    "a valid boolean": "true or false",
}
TYPES: dict[type, str] = {
    str: "text",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "a list",
    dict: "a mapping",
    type(None): "null",
}
"""Names of the types of values in a file, for error messages."""


class Section(Protocol):
    """A part of the file that maps its keys to places."""

    def place(self, key: str) -> Place:
        """Return the place of a key's value in the section."""
        ...


@dataclass(frozen=True, kw_only=True)
class AxisValues:
    """One value from each axis of a section of the file."""

    values: dict[str, Any]
    positions: dict[str, int] = field(default_factory=dict)
    """Index in its list of each value that comes from a list."""

    def place(self, key: str) -> Place:
        """Return the place of a key's value in the section."""
        if key not in self.values:
            return ()
        return (key, self.positions[key]) if key in self.positions else (key,)


def axis(written: object, document: Document, place: Place) -> list[Any]:
    """Return the values of an axis: list items or a single value. Raises `DocumentError` for an empty list."""
    values = written if isinstance(written, list) else [written]
    if not values:
        raise document.error(place, "must not be empty; give at least one value.")
    return values


def choices(section: dict[str, Any], kind: type, document: Document, place: Place) -> Iterator[AxisValues]:
    """Iterate over all combinations of a section's values; for a tuple field of `kind`, a list is one value."""
    hints = get_type_hints(kind)
    lists = {
        key: value
        for key, value in section.items()
        if isinstance(value, list)
        and (get_origin(hints.get(key)) is not tuple or any(isinstance(item, list) for item in value))
    }
    for key, value in lists.items():
        axis(value, document, (*place, key))
    for positions in itertools.product(*(range(len(value)) for value in lists.values())):
        chosen = dict(zip(lists, positions, strict=True))
        values = {key: section[key][chosen[key]] if key in chosen else section[key] for key in section}
        yield AxisValues(values=values, positions=chosen)


def names(registry: Registry[Any], written: object, document: Document, place: Place) -> list[str]:
    """Return the names on an axis. Raises `DocumentError` for a value that is not a registered name."""
    values = axis(written, document, place)
    for position, name in enumerate(values):
        try:
            registry.check(name)
        except SpecError as error:
            where = (*place, position) if isinstance(written, list) else place
            raise document.error(where, str(error)) from error
    return values


def refuse_unknown_keys(section: Iterable[str], known: list[str], document: Document, place: Place) -> None:
    """Raise `DocumentError` for the first unknown key."""
    for key in section:
        if key not in known:
            hint = nearest(str(key), known) if known else f"{place[-1]} has no settings"
            raise document.error((*place, key), f"unknown key {key!r}; {hint}.")


def validated(
    kind: type[Value], values: object, document: Document, place: Place = (), section: Section | None = None
) -> Value:
    """Build a spec or a pydantic model from plain values of the file.

    Args:
        kind: the class of the result.
        values: the plain values.
        document: the file.
        place: the place of the values in the file.
        section: maps keys to places where they differ, as for values from axes.

    Raises:
        DocumentError: for the first value that breaks a rule.
    """
    try:
        # Strict validation of JSON accepts a list for a tuple, but no text such as "3" for a number.
        return _adapter(kind).validate_json(json.dumps(values, default=str), strict=True)
    except pydantic.ValidationError as invalid:
        errors = invalid.errors(include_url=False)
        first = next((error for error in errors if error["type"] in UNKNOWN_KEY), errors[0])
        cause = first.get("ctx", {}).get("error")
        location: Place = first["loc"]
        if isinstance(cause, SpecError) and cause.field:
            location = (*location, cause.field)
        if section is not None and location:
            location = (*section.place(str(location[0])), *location[1:])
        raise document.error((*place, *location), _sentence(kind, first, cause)) from invalid


def field_names(kind: Any) -> list[str]:
    """Return the field names of a spec or a pydantic model."""
    return list(kind.model_fields) if hasattr(kind, "model_fields") else [item.name for item in fields(kind)]


@functools.cache
def _adapter(kind: type[Value]) -> pydantic.TypeAdapter[Value]:
    return pydantic.TypeAdapter(kind)


def _sentence(kind: Any, error: Any, cause: object) -> str:
    name, got = error["loc"][-1] if error["loc"] else "", error["input"]
    if isinstance(cause, SpecError):
        return str(cause)
    match error["type"]:
        case unknown_key if unknown_key in UNKNOWN_KEY:
            return f"unknown key {name!r}; {nearest(str(name), field_names(kind))}."
        case "missing" | "missing_keyword_only_argument" | "missing_argument":
            return f"the key {name!r} is missing; add it."
        case "literal_error":
            listed = error["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
            return f"unknown value {got!r}; {nearest(str(got), listed)}."
        case _:
            rule = error["msg"].removeprefix("Input should be ")
            if rule in IN_YAML_TERMS:
                return f"must be {IN_YAML_TERMS[rule]}, but got {got!r}, which is {TYPES[type(got)]}."
            return f"must be {rule}, but got {got!r}."
