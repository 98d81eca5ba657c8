"""Names for things that a sweep file can ask for."""

import re
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from .errors import unknown

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """A mapping from names to entries of one kind, filled by a decorator where each entry is defined."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """Decorator that enters what it decorates under `name`. Raises `ValueError` for a name that is taken."""

        def enter(entry: Entry) -> Entry:
            if name in self._entries:
                raise ValueError(f"the {self.kind} {name!r} is registered twice: {self._entries[name]}, {entry}")
            self._entries[name] = entry
            return entry

        return enter

    def __getitem__(self, name: str) -> Entry:
        """The entry called `name`. Raises `SpecError` with the nearest names for an unknown one."""
        if name not in self:
            raise unknown(self.kind, name, self._entries, field=self.kind)
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._entries

    def __iter__(self) -> Iterator[str]:
        """The names, with numbers in them in the order of the numbers."""
        return iter(
            sorted(self._entries, key=lambda name: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", name)])
        )
