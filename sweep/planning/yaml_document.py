"""YAML read strictly: no key twice, numbers as people write them, and the line of every value kept for messages."""

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
"""The way to a value: the keys and list positions that lead to it."""


class DocumentError(SpecError):
    """A file that cannot be used as it is. The message says file, line, place and what is wrong there."""


class _Loader(yaml.SafeLoader):
    """YAML's safe types; `5e-4` is a number, as in YAML 1.2 and everywhere else."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except (TypeError, ValueError, LookupError, AttributeError) as error:  # PyYAML's own, without a place
            problem = f"{node.value!r:.60} is no {node.tag.rpartition(':')[2]}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error
        if isinstance(value, int) and abs(value) > sys.float_info.max:
            problem = f"{node.value!r:.60} is beyond {sys.float_info.max:.2g}, where numbers end"
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
                problem = f"the key {key!r} stands twice, in line {seen[key]} and in line {line}"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            seen[key] = line
        return super().construct_mapping(node, deep)


class Document:
    """The content of a YAML file and where in the file each part of it stands."""

    def __init__(self, path: Path) -> None:
        """Reads the file. Raises `DocumentError` if it cannot be read, is not YAML or holds no mapping."""
        self.path = path
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise DocumentError(f"{path}: cannot be read: {reason}.") from error
        self.text = text
        try:
            loader = _Loader(text)
            self._root = loader.get_single_node()
            self.content: Any = loader.construct_document(self._root) if self._root else None
            # Validation reads JSON, which has no list within itself and no half characters.
            json.dumps(self.content, default=str, ensure_ascii=False).encode()
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
            raise DocumentError(f"{path}{line}: is not valid YAML: {problem}.") from error
        if not isinstance(self.content, dict):
            raise self.error((), f"a sweep file is a mapping of keys to values, but this is {self.content!r:.60}.")

    def error(self, place: Place, message: str) -> DocumentError:
        """The error for what stands at a place; the message is a sentence."""
        line = self._line(place)
        where = f"{self.path}:{line}" if line else f"{self.path}"
        return DocumentError(f"{where}: {dotted(place)}: {message}" if place else f"{where}: {message}")

    def text_with(self, values: Mapping[str, str]) -> str:
        """The file's text with other texts in place of these, in quotes; all else stays as it was written."""
        text = self.text
        for token in reversed(list(yaml.scan(self.text))):  # from the end, so that places before stay right
            if isinstance(token, yaml.ScalarToken) and values.get(token.value, token.value) != token.value:
                start, end = token.start_mark.index, token.end_mark.index
                written = text[start:end]
                quoted = yaml.safe_dump(values[token.value], default_style='"', width=math.inf, allow_unicode=True)
                text = text[:start] + quoted.rstrip() + written[len(written.rstrip()) :] + text[end:]
        return text

    def _line(self, place: Place) -> int | None:
        node, line = self._root, None
        for step in place:
            if isinstance(node, yaml.MappingNode):
                found = next((pair for pair in node.value if pair[0].value == str(step)), None)
                if found is None:
                    break
                line, node = found[0].start_mark.line + 1, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = node.start_mark.line + 1
        return line


def dotted(place: Place) -> str:
    """A place as people write it: `methods.eed.temperature[1]`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


_Loader.add_implicit_resolver(  # on a copy of its own: PyYAML copies the resolvers of a subclass
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+"), list("-+.0123456789")
)
