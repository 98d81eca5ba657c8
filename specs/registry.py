"""Names for things that a sweep file can ask for."""

import re
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from .errors import SpecError, unknown

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """A mapping from names to entries of one kind, filled by a decorator where each entry is defined."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}
        self._resolvers: dict[str, Callable[[str], Entry]] = {}

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """Decorator that enters what it decorates under `name`. Raises `ValueError` for a name that is taken."""

        def enter(entry: Entry) -> Entry:
            if name in self._entries:
                raise ValueError(f"the {self.kind} {name!r} is registered twice: {self._entries[name]}, {entry}")
            self._entries[name] = entry
            return entry

        return enter

    def register_prefix(self, prefix: str, resolver: Callable[[str], Entry]) -> None:
        """Leaves the names that begin with `prefix` to a resolver, which is called when one is asked for.

        The resolver gets the whole name and gives its entry, or raises `SpecError`. Raises `ValueError` for a prefix
        that is taken.
        """
        if prefix in self._resolvers:
            raise ValueError(f"the {self.kind} prefix {prefix!r} is registered twice")
        self._resolvers[prefix] = resolver

    def __getitem__(self, name: str) -> Entry:
        """The entry called `name`. Raises `SpecError` with the nearest names for an unknown one."""
        if isinstance(name, str):
            if name in self._entries:
                return self._entries[name]
            for prefix, resolver in self._resolvers.items():
                if name.startswith(prefix):
                    return resolver(name)
        raise unknown(self.kind, name, (*self._entries, *self._resolvers), field=self.kind)

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and self[name] is not None
        except SpecError:
            return False

    def __iter__(self) -> Iterator[str]:
        """The names, with numbers in them in the order of the numbers; those that a prefix covers are left out."""
        return iter(
            sorted(self._entries, key=lambda name: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", name)])
        )
