"""JSON records of the trial store. Every file is read here, where its format, shape and identity are checked."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..specs import SpecError
from .directory import Directory

FORMAT = 1
"""Format version of all files that this release writes. Files of 0.1.0 have none and are read as well."""

Record = dict[str, Any]
"""Plain JSON values by name."""

Check = Callable[[object], bool]


class DamagedFileError(SpecError):
    """A file of the store whose content is not what was written there. The message names the file and the remedy."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}. {remedy}" if remedy else problem)
        self.problem, self.remedy = problem, remedy


class NewerFormatError(SpecError):
    """A file of the store that a later release of Exeunt has written."""


def is_text(value: object) -> bool:
    """Return True for a string."""
    return isinstance(value, str)


def is_number(value: object) -> bool:
    """Return True for an integer or a float, which may be infinite or NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_count(value: object) -> bool:
    """Return True for an integer that is not negative."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_time(value: object) -> bool:
    """Return True for seconds since 1970 that are a date before the year 5000."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 9e10


def is_flag(value: object) -> bool:
    """Return True for a Boolean."""
    return isinstance(value, bool)


def is_object(value: object) -> bool:
    """Return True for a JSON object."""
    return isinstance(value, dict)


def list_of(check: Check) -> Check:
    """Return the check for a JSON array whose items all pass `check`."""
    return lambda value: isinstance(value, list) and all(map(check, value))


def is_digest(value: object) -> bool:
    """Return True for a SHA-256 in hexadecimal digits."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def object_of(check: Check) -> Check:
    """Return the check for a JSON object whose values all pass `check`."""
    return lambda value: isinstance(value, dict) and all(map(check, value.values()))


def shaped(may_have: Mapping[str, Check] = MappingProxyType({}), /, **checks: Check) -> Check:
    """Return the check for a JSON object with these keys, and perhaps others, whose values pass their checks."""
    return lambda value: (
        isinstance(value, dict)
        and all(name in value and check(value[name]) for name, check in checks.items())
        and all(name not in value or check(value[name]) for name, check in may_have.items())
    )


def one_of(*values: object) -> Check:
    """Return the check for one of these values."""
    return lambda value: value in values


def optional(check: Check) -> Check:
    """Return the check for null or a value that passes `check`."""
    return lambda value: value is None or check(value)


@dataclass(frozen=True, kw_only=True)
class RecordFile:
    """Shape of a JSON file of the store."""

    required: Mapping[str, Check]
    """Keys that every record has, with the checks of their values."""
    optional: Mapping[str, Check] = field(default_factory=dict)
    compact: bool = False
    """True for large records, which are written without indentation."""
    remedy: str
    """Sentence about what to do if the file is damaged; `{directory}` and `{file}` are replaced by its place."""

    def read(self, directory: Directory, name: str) -> Record | None:
        """Return the record in a file, or None if the file does not exist.

        Raises:
            DamagedFileError: if the content is no JSON object of this shape.
            NewerFormatError: if a later release has written it.
        """
        content = directory.read(name)
        return None if content is None else self._parse(directory, name, content)

    def read_lines(self, directory: Directory, name: str) -> list[Record]:
        """Return the records in a file with one record per line; none if the file does not exist."""
        return [self._parse(directory, name, line) for line in (directory.read(name) or b"").splitlines()]

    def write(self, directory: Directory, name: str, record: Record) -> None:
        """Write a record with the format version of this release."""
        text = json.dumps({"format": FORMAT, **record}, indent=None if self.compact else 2)
        directory.write(name, (text + "\n").encode())

    def write_lines(self, directory: Directory, name: str, records: list[Record]) -> None:
        """Write records, one per line."""
        lines = (json.dumps({"format": FORMAT, **record}) + "\n" for record in records)
        directory.write(name, "".join(lines).encode())

    def damaged(self, directory: Directory, name: str, reason: str) -> DamagedFileError:
        """Return the error for a file of this kind."""
        file = directory.located(name)
        remedy = self.remedy.format(directory=directory.located("").rstrip("/"), file=file)
        return DamagedFileError(f"{file} is damaged ({reason})", remedy)

    def _parse(self, directory: Directory, name: str, content: bytes) -> Record:
        try:
            record = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self.damaged(directory, name, str(error)) from error
        if not isinstance(record, dict):
            raise self.damaged(directory, name, "not a JSON object")
        version = record.pop("format", 0)
        if not is_count(version):
            raise self.damaged(directory, name, "invalid: format")
        if version > FORMAT:
            found = f"{directory.located(name)} has format {version}, but this release reads up to format {FORMAT}"
            raise NewerFormatError(f"{found}. Upgrade Exeunt to the release that wrote it.")
        if problems := [*self._problems(record)]:
            raise self.damaged(directory, name, f"missing or invalid: {', '.join(problems)}")
        return record

    def _problems(self, record: Record) -> Iterator[str]:
        for key, check in {**self.required, **self.optional}.items():
            if not (check(record[key]) if key in record else key not in self.required):
                yield key
