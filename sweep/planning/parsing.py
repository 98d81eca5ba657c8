"""Conversion of file values to specs, with errors that name the place, the value and the rule."""

import functools
import itertools
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, TypeVar, get_origin, get_type_hints

import pydantic

from ...specs import Registry, Spec, SpecError, nearest
from .yaml_document import MISSING, Document, DocumentError, Place

Value = TypeVar("Value")

UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
MISSING_KEY = ("missing", "missing_keyword_only_argument", "missing_argument")
BOOLEANS = {"yes": True, "on": True, "no": False, "off": False}
"""Words that YAML 1.1 reads as booleans. They are booleans here where only a boolean is valid, otherwise text."""
IN_YAML_TERMS = {
    "a valid array": "a list",
    "an object": "a mapping of keys to values",
    "a valid dictionary": "a mapping of keys to values",
    "a valid integer": "an integer",
    "a valid number": "a number",
    "a valid string": "text",
    "a valid boolean": "true or false",
}
NUMBERS = ("a valid integer", "a valid number")
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


def axes(section: Mapping[str, Any], kind: type) -> dict[str, list[Any]]:
    """Return the values of a section that are axes: lists, or lists of lists for a tuple field of `kind`."""
    hints = get_type_hints(kind)
    return {
        key: value
        for key, value in section.items()
        if isinstance(value, list)
        and (get_origin(hints.get(key)) is not tuple or any(isinstance(item, list) for item in value))
    }


def choices(section: dict[str, Any], kind: type, document: Document, place: Place) -> Iterator[AxisValues]:
    """Iterate over all combinations of a section's values."""
    lists = axes(section, kind)
    for key, value in lists.items():
        axis(value, document, (*place, key))
    for positions in itertools.product(*(range(len(value)) for value in lists.values())):
        chosen = dict(zip(lists, positions, strict=True))
        values = {key: section[key][chosen[key]] if key in chosen else section[key] for key in section}
        yield AxisValues(values=values, positions=chosen)


def names(registry: Registry[Any], written: object, document: Document, place: Place) -> list[str]:
    """Return the names on an axis. Raises `DocumentError` for a value that is not a registered name."""
    values = axis(written, document, place)
    mistakes = []
    for position, name in enumerate(values):
        try:
            registry.check(name)
        except SpecError as error:
            where = (*place, position) if isinstance(written, list) else place
            mistakes.append(str(document.error(where, str(error))))
    if mistakes:
        raise DocumentError(*mistakes)
    return values


def refuse_unknown_keys(section: Mapping[str, Any], known: list[str], document: Document, place: Place) -> None:
    """Raise `DocumentError` for all unknown keys."""
    mistakes, before = [], None
    for key in section:
        if key not in known:
            hint = nearest(str(key), known) if known else f"{place[-1]} has no settings"
            if before is not None and section[key] is None:  # in {exits: 1,3}, a comma ends the value
                hint = f'a comma ends a value between braces; write {before}: "{section[before]},{key}" for one value'
            mistakes.append(str(document.error((*place, key), f"unknown key {key!r}; {hint}.")))
        before = key
    if mistakes:
        raise DocumentError(*mistakes)


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
        words = [error["loc"] for error in errors if error["type"] == "bool_type" and _is_word(error["input"])]
        if words:
            return validated(kind, _with_booleans(values, words), document, place, section)
        found = dict.fromkeys(_mistakes(kind, values, errors))

        def at(location: Place) -> Place:
            if section is not None and location:
                location = (*section.place(str(location[0])), *location[1:])
            return (*place, *location)

        raise DocumentError(*(str(document.error(at(where), told)) for where, told in found)) from invalid


def _mistakes(kind: Any, values: Any, errors: Sequence[Any]) -> Iterator[tuple[Place, str]]:
    """Iterate over place and text of each mistake. No key is missing if an unknown key may be meant for it."""
    has_unknown = any(error["type"] in UNKNOWN_KEY for error in errors)
    for error in errors:
        cause, location = error.get("ctx", {}).get("error"), error["loc"]
        if error["type"] in MISSING_KEY and has_unknown:
            continue
        if isinstance(cause, SpecError) and cause.field:
            alone = kind.mistakes(values) if isinstance(kind, type) and issubclass(kind, Spec) else ()
            yield from (((*location, one.field or ""), str(one)) for one in alone)
            location = (*location, cause.field)
        yield location, _sentence(kind, error, cause)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and value in BOOLEANS


def _with_booleans(values: Any, places: Collection[Place]) -> Any:
    """Return values with a boolean in place of a word at each of these places."""
    if () in places:
        return BOOLEANS[values]
    parts: dict[Any, Any] = dict(enumerate(values)) if isinstance(values, list) else values
    inside = {step: [place[1:] for place in places if place[0] == step] for step in parts}
    new = {step: _with_booleans(value, inside[step]) if inside[step] else value for step, value in parts.items()}
    return list(new.values()) if isinstance(values, list) else new


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
        case missing_key if missing_key in MISSING_KEY:
            return f"the key {name!r} {MISSING}"
        case "literal_error":
            listed = error["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
            return f"unknown value {got!r}; {nearest(str(got), listed)}."
        case _:
            rule = error["msg"].removeprefix("Input should be ")
            if rule in IN_YAML_TERMS:
                hint = _number_hint(got) if rule in NUMBERS else ""
                return f"must be {IN_YAML_TERMS[rule]}, but got {got!r}, which is {TYPES[type(got)]}.{hint}"
            return f"must be {rule}, but got {got!r}."


def _number_hint(got: object) -> str:
    """Return how a text is written as a number: without a decimal comma, underscores or quotes."""
    if not isinstance(got, str):
        return ""
    plain = re.sub(r"(?<=\d)[_' ](?=\d)", "", got.strip())
    if re.fullmatch(r"[-+]?\d+,\d+", plain):
        return f" Write {plain.replace(',', '.')}, or [{plain.replace(',', ', ')}] for two values."
    return f" Write {plain} without quotes." if re.fullmatch(r"[-+]?\d*\.?\d+([eE][-+]?\d+)?", plain) else ""
