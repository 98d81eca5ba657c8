"""Values from the command line, such as `recipe.epochs=5`, in place of values of a sweep file."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from ...specs import SpecError, one_line
from .yaml_loader import Loader, Place, composed, constructed, dotted, problem_of

KEY = re.compile(r"[^.\[\]=\s]+(?:\[\d+\])*(?:\.[^.\[\]=\s]+(?:\[\d+\])*)*")
STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
FIRST_KEY = {"recipe": "base", "stopping": "rule", "detect": "difference"}
"""Key of the value that a section may be written as: `recipe: fast` is `recipe: {base: fast}`."""


@dataclass(frozen=True, kw_only=True)
class Override:
    """Value from the command line, which replaces or adds a value of the file."""

    text: str
    """Override as written: `recipe.epochs=5`."""
    place: Place
    value: Any


def overrides_of(values: Mapping[str, object] | None) -> tuple[str, ...]:
    """Return overrides as they are written on the command line: `{"recipe.epochs": 5}` is `recipe.epochs=5`."""
    return tuple(f"{key}={json.dumps(value, ensure_ascii=False, default=str)}" for key, value in (values or {}).items())


def read_override(text: str) -> Override:
    """Return the override that is written as `KEY=VALUE`; the value is YAML.

    Raises:
        SpecError: for a text without `=` or with an invalid key or value.
    """
    key, equals, written = text.partition("=")
    if not equals or not KEY.fullmatch(key):
        rule = "a value in place of one of the file is written KEY=VALUE, such as recipe.epochs=5 or seeds=[0]"
        raise SpecError(f"{one_line(text)!r}: {rule}.")
    try:
        value = constructed(composed(written))
        json.dumps(value, default=str, ensure_ascii=False).encode()  # as for the file
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SpecError(f"{one_line(text)}: is not valid YAML: {problem_of(error)}.") from error
    steps = tuple(int(index) if index else name for index, name in STEP.findall(key))
    return Override(text=one_line(text), place=steps, value=value)


def overridden(content: Any, override: Override) -> Any:
    """Return the content of a file with a value replaced or added; what aliases share is changed at this place only.

    Raises:
        SpecError: if the place is in a value that has no keys, or is not in a list.
    """

    def replaced(part: Any, done: int) -> Any:
        if done == len(override.place):
            return override.value
        before, step = override.place[:done], override.place[done]
        if isinstance(step, int):
            if not isinstance(part, list) or step >= len(part):
                length = f"has {len(part)} items" if isinstance(part, list) else "is not a list"
                raise SpecError(f"{override.text}: {dotted(before)} {length}; choose another place, or write the list.")
            return [*part[:step], replaced(part[step], done + 1), *part[step + 1 :]]
        section = _section(part, before)
        if section is None:
            at = dotted(before)
            problem = f"is a list; choose an item, such as {at}[0]" if isinstance(part, list) else f"is {part!r:.60}"
            raise SpecError(f"{override.text}: {at} {problem}, or write a value for all of it, {at}=...")
        return {**section, step: replaced(section.get(step), done + 1)}

    return replaced(content, 0)


def _section(part: object, place: Place) -> Mapping[Any, Any] | None:
    """Return a part of a file as a mapping, also if it is written in its short form; None if it has no keys."""
    key = next((step for step in reversed(place) if isinstance(step, str)), "")
    if part is None:
        return {}
    if isinstance(part, dict):
        return part
    if isinstance(part, str | int | float) and key in FIRST_KEY:
        return {FIRST_KEY[key]: part}
    if key == "methods" and isinstance(part, list) and all(isinstance(name, str) for name in part):
        return dict.fromkeys(part)
    return None


def written_out(content: Any, overrides: Iterable[Override], name: str) -> str:
    """Return a sweep file with this content, in which a comment lists the overrides, so that it reproduces the run."""
    lines = [f"# {one_line(name)} with these values from the command line:", *(f"#   {one.text}" for one in overrides)]
    return "\n".join([*lines, yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)])


class _Dumper(yaml.SafeDumper):
    """Writer that quotes each text that the loader of sweep files would read as another type."""

    yaml_implicit_resolvers = Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        """Return True: values that an anchor repeated are written out."""
        return True
