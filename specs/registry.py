"""Registries: the names that a sweep file can use, with their entries."""

import fnmatch
import re
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from .errors import SpecError, unknown
from .text import is_printable

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Mapping from names to entries of one kind. A decorator adds each entry where it is defined."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Callable[[], Entry]] = {}
        self._resolvers: dict[str, Callable[[str], Entry]] = {}

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """Return a decorator that registers an object under `name`.

        Raises:
            SpecError: if the name is already registered, or has control characters.
        """

        def enter(entry: Entry) -> Entry:
            self.register_lazily(name, lambda: entry)
            return entry

        return enter

    def register_lazily(self, name: str, load: Callable[[], Entry]) -> None:
        """Register the result of a function, such as an import. It is called at each lookup of the entry.

        Raises:
            SpecError: if the name is already registered, or has control characters.
        """
        if not is_printable(name):
            raise SpecError(f"the {self.kind} {name!r} has control characters; choose another name.", field=self.kind)
        if name in self._entries:
            message = f"the {self.kind} {name!r} is already registered; choose another name."
            raise SpecError(message, field=self.kind)
        self._entries[name] = load

    def unregister(self, name: str) -> None:
        """Remove the entry that is registered under `name`."""
        del self._entries[name]

    def register_pattern(self, form: str, resolver: Callable[[str], Entry]) -> None:
        """Register a resolver for all names that match a pattern, such as `folder:*`.

        Args:
            form: Pattern in the syntax of `fnmatch`. If several patterns match a name, the last registered one is used.
            resolver: Function from the whole name to its entry. It is called at each lookup and may raise `SpecError`.

        Raises:
            ValueError: if the pattern is already registered.
        """
        if form in self._resolvers:
            raise ValueError(f"the {self.kind} pattern {form!r} is already registered")
        self._resolvers[form] = resolver

    @property
    def patterns(self) -> tuple[str, ...]:
        """Patterns of further names, in the syntax of `fnmatch`."""
        return tuple(self._resolvers)

    def check(self, name: str) -> None:
        """Raise `SpecError` with the nearest names if `name` is not registered; the entry is not loaded."""
        if not (isinstance(name, str) and name in self._entries):
            self._resolve(name)

    def __getitem__(self, name: str) -> Entry:
        """Return the entry called `name`, or raise `SpecError` with the nearest names."""
        if isinstance(name, str) and name in self._entries:
            return self._entries[name]()
        return self._resolve(name)

    def __contains__(self, name: object) -> bool:
        try:
            self.check(name)  # type: ignore[arg-type]
        except SpecError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        """Iterate over the registered names in natural order (resnet8 before resnet18); patterns are left out."""
        return iter(
            sorted(self._entries, key=lambda name: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", name)])
        )

    def _resolve(self, name: str) -> Entry:
        """Return the entry of a name that matches a pattern."""
        for form, resolver in reversed(self._resolvers.items()):
            if isinstance(name, str) and is_printable(name) and fnmatch.fnmatchcase(name, form):
                return resolver(name)
        raise unknown(self.kind, name, (*self._entries, *self._resolvers), field=self.kind)
