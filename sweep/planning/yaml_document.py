"""A YAML file, with the line of each value, and the mistakes that were found in it."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from ...specs import SpecError
from .overrides import overridden, read_override, written_out
from .yaml_loader import Place as Place  # noqa: PLC0414 (exported)
from .yaml_loader import composed, constructed, dotted, problem_of

UNKNOWN, MISSING = ": unknown key ", "is missing; add it."
"""Texts of the mistakes of unknown and of missing keys."""
MOST = 10
"""Largest number of mistakes in a message."""


class DocumentError(SpecError):
    """Mistakes in a file. The message has a line for each, with file, line, place, problem and fix."""

    def __init__(self, *mistakes: str) -> None:
        """Keep each mistake once, and show the first ones."""
        self.mistakes = tuple(dict.fromkeys(mistakes))
        more = len(self.mistakes) - MOST
        rest = [f"... and {more} more mistake{'s' * (more > 1)}."] if more > 0 else []
        super().__init__("\n".join([*self.mistakes[:MOST], *rest]))


class Document:
    """The content of a YAML file, the line of each part, and the mistakes that are found while it is read."""

    def __init__(self, path: Path, overrides: Sequence[str] = ()) -> None:
        """Read the file, and replace values by those of the command line, in their order.

        Args:
            path: of the file.
            overrides: `KEY=VALUE`, such as `recipe.epochs=5`.

        Raises:
            DocumentError: if the file cannot be read, is not YAML or contains no mapping.
            SpecError: for an override that is not written so, or whose place does not exist.
        """
        self.path = path
        self._overrides = [read_override(text) for text in overrides]
        self._mistakes: dict[str, BaseException | None] = {}
        """Mistakes so far, with the exception that each came from."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text; save it as UTF-8"
            raise DocumentError(f"{path}: cannot be read: {reason}.") from error
        try:
            self._root = composed(text)
            self.content: Any = constructed(self._root)
            # Validation goes through JSON, which allows neither recursive lists nor lone surrogates.
            json.dumps(self.content, default=str, ensure_ascii=False).encode()
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            raise DocumentError(f"{path}{line}: is not valid YAML: {problem_of(error)}.") from error
        if not isinstance(self.content, dict):
            raise self.error((), f"a sweep file must be a mapping of keys to values, but this is {self.content!r:.60}.")
        for override in self._overrides:
            self.content = overridden(self.content, override)
        self.text = written_out(self.content, self._overrides, path.name) if overrides else text
        """Text of the file with the overrides."""

    def error(self, place: Place, message: str) -> DocumentError:
        """Return the error for the value at a place; `message` is a sentence without the place."""
        return DocumentError(f"{self.place_text(place)}: {message}")

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Keep the mistakes that the code inside raises, so that other parts of the file are read before `check`."""
        try:
            yield
        except DocumentError as error:
            self._mistakes |= dict.fromkeys(error.mistakes, error.__cause__)

    def note(self, place: Place, message: str, cause: BaseException) -> None:
        """Keep the mistake of the value at a place until `check`."""
        self._mistakes[str(self.error(place, message))] = cause

    def check(self) -> None:
        """Raise `DocumentError` with all mistakes so far, in the order of the file.

        An unknown key may be meant for a missing one, which is then no mistake of its own.
        """
        has_unknown = any(UNKNOWN in mistake for mistake in self._mistakes)
        told = [mistake for mistake in self._mistakes if not (has_unknown and mistake.endswith(MISSING))]
        if told:
            told = sorted(told, key=self._line_of)
            raise DocumentError(*told) from self._mistakes[told[0]]

    def _line_of(self, mistake: str) -> int:
        line = mistake.removeprefix(f"{self.path}:").partition(":")[0]
        return int(line) if line.isdecimal() else 0

    def place_text(self, place: Place) -> str:
        """Return file, line and place of a value, such as `sweep.yaml:8: methods.eed.temperature`.

        A value from the command line has its override in place of file and line.
        """
        for override in reversed(self._overrides):
            shared = min(len(place), len(override.place))
            is_new = len(place) >= len(override.place) or (place and _find(self._root, place)[0] is None)
            if is_new and place[:shared] == override.place[:shared]:
                return override.text if place == override.place else f"{override.text}: {dotted(place)}"
        line = self._line(place)
        where = f"{self.path}:{line}" if line else f"{self.path}"
        return f"{where}: {dotted(place)}" if place else where

    def text_with(self, values: Mapping[str, str], places: Mapping[Place, str]) -> str:
        """Return the text of the file with some scalars replaced, in quotes; everything else is unchanged.

        Args:
            values: new text by old text, anywhere in the file.
            places: new text by place.
        """
        text, root = self.text, composed(self.text)
        found = ((_find(root, place)[0], new) for place, new in places.items())
        ends = {node.end_mark.index: new for node, new in found if node is not None}
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
        return _find(self._root, place)[1]


def _find(root: yaml.Node | None, place: Place) -> tuple[yaml.Node | None, int | None]:
    """Return the value at a place, None if it is not written there, and the line of its nearest known part."""
    node, line = root, None
    for step in place:
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == str(step)), None)
            if found is None:
                return None, line
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, str):  # a list of names instead of a mapping
            named = next((item for item in node.value if item.value == step), None)
            return None, named.start_mark.line + 1 if named else line
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            return None, line
    return node, line
