"""Names for things that a sweep file can ask for."""

import fnmatch
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
        """Decorator that enters what it decorates under `name`. Raises `SpecError` for a name that is taken."""

        def enter(entry: Entry) -> Entry:
            if name in self._entries:
                rule = f"the {self.kind} {name!r} is registered twice; a new one needs a name of its own"
                raise SpecError(f"{rule}.", field=self.kind)
            self._entries[name] = entry
            return entry

        return enter

    def unregister(self, name: str) -> None:
        """Forgets the entry that is registered under `name`."""
        del self._entries[name]

    def register_pattern(self, form: str, resolver: Callable[[str], Entry]) -> None:
        """Leaves the names of a form, such as `folder:*`, to a resolver, which is called when one is asked for.

        The resolver gets the whole name and gives its entry, or raises `SpecError`. Where several forms fit, the one
        that was registered last has the name. Raises `ValueError` for a form that is taken.
        """
        if form in self._resolvers:
            raise ValueError(f"the {self.kind} form {form!r} is registered twice")
        self._resolvers[form] = resolver

    def __getitem__(self, name: str) -> Entry:
        """The entry called `name`. Raises `SpecError` with the nearest names for an unknown one."""
        if isinstance(name, str):
            if name in self._entries:
                return self._entries[name]
            for form, resolver in reversed(self._resolvers.items()):
                if fnmatch.fnmatchcase(name, form):
                    return resolver(name)
        raise unknown(self.kind, name, (*self._entries, *self._resolvers), field=self.kind)

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and self[name] is not None
        except SpecError:
            return False

    def __iter__(self) -> Iterator[str]:
        """The names, with numbers in them in the order of the numbers; those that a form covers are left out."""
        return iter(
            sorted(self._entries, key=lambda name: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", name)])
        )
