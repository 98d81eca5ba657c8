"""Strict YAML reader: duplicate keys are errors, `5e-4` is a number, and the line of every value is known."""

import json
import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ...specs import SpecError

Place = tuple[str | int, ...]
"""Path to a value in a file: keys and list indices."""


class DocumentError(SpecError):
    """Error in a file. The message gives file, line, place, problem and fix."""


class _Loader(yaml.SafeLoader):
    """YAML loader for safe types. As in YAML 1.2, `5e-4` is a number."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except (TypeError, ValueError, LookupError, AttributeError) as error:  # errors of PyYAML without a line
            problem = f"{node.value!r:.60} is not a valid {node.tag.rpartition(':')[2]}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error
        if isinstance(value, int) and abs(value) > sys.float_info.max:
            problem = f"{node.value!r:.60} is too large (maximum absolute value {sys.float_info.max:.2g})"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, int] = {}
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str | int | float | None):
                problem = f"the key {key!r:.60} is not text; write it in quotes"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            if key in seen:
                problem = f"duplicate key {key!r} in lines {seen[key]} and {line}; remove one"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            seen[key] = line
        return super().construct_mapping(node, deep)


class Document:
    """The content of a YAML file and the line of each part."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises `DocumentError` if it cannot be read, is not YAML or contains no mapping."""
        self.path = path
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text; save it as UTF-8"
            raise DocumentError(f"{path}: cannot be read: {reason}.") from error
        self.text = text
        try:
            loader = _Loader(text)
            self._root = loader.get_single_node()
            self.content: Any = loader.construct_document(self._root) if self._root else None
            # Validation goes through JSON, which allows neither recursive lists nor lone surrogates.
            json.dumps(self.content, default=str, ensure_ascii=False).encode()
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
            raise DocumentError(f"{path}{line}: is not valid YAML: {problem}.") from error
        if not isinstance(self.content, dict):
            raise self.error((), f"a sweep file must be a mapping of keys to values, but this is {self.content!r:.60}.")

    def error(self, place: Place, message: str) -> DocumentError:
        """Return the error for the value at a place; `message` is a sentence without the place."""
        return DocumentError(f"{self.place_text(place)}: {message}")

    def place_text(self, place: Place) -> str:
        """Return file, line and place of a value, such as `sweep.yaml:8: methods.eed.temperature`."""
        line = self._line(place)
        where = f"{self.path}:{line}" if line else f"{self.path}"
        return f"{where}: {dotted(place)}" if place else where

    def text_with(self, values: Mapping[str, str], places: Mapping[Place, str]) -> str:
        """Return the text of the file with some scalars replaced, in quotes; everything else is unchanged.

        Args:
            values: new text by old text, anywhere in the file.
            places: new text by place.
        """
        text = self.text
        ends = {node.end_mark.index: new for place, new in places.items() if (node := self._find(place)[0]) is not None}
        for token in reversed(list(yaml.scan(self.text))):  # backwards, so that earlier indices stay valid
            if not isinstance(token, yaml.ScalarToken):
                continue
            new = ends.get(token.end_mark.index, values.get(token.value, token.value))
            if new != token.value:
                start, end = token.start_mark.index, token.end_mark.index
                written = text[start:end]
                quoted = yaml.safe_dump(new, default_style='"', width=math.inf, allow_unicode=True)
                text = text[:start] + quoted.rstrip() + written[len(written.rstrip()) :] + text[end:]
        return text

    def _line(self, place: Place) -> int | None:
        return self._find(place)[1]

    def _find(self, place: Place) -> tuple[yaml.Node | None, int | None]:
        """Return the value at a place, None if it is not written there, and the line of its nearest known part."""
        node, line = self._root, None
        for step in place:
            if isinstance(node, yaml.MappingNode):
                found = next((pair for pair in node.value if pair[0].value == str(step)), None)
                if found is None:
                    return None, line
                line, node = found[0].start_mark.line + 1, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = node.start_mark.line + 1
            else:
                return None, line
        return node, line


def dotted(place: Place) -> str:
    """Return a place as text, such as `methods.eed.temperature[1]`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


_Loader.add_implicit_resolver(  # PyYAML copies the resolvers of a subclass, so SafeLoader is unchanged
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+"), list("-+.0123456789")
)
