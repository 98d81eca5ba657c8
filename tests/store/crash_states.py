"""All states of a directory after a loss of power, in the model of ALICE (Pillai et al., OSDI 2014).

The content of a file is safe once the file was synced, and an entry of a directory once the directory was synced after
the change. All other changes may have happened or not, in any combination: they need not reach the disk in order. A
rename within a directory is one change.
"""

import itertools
import math
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from exeunt.store import LocalDirectory

MOST_SUBSETS = 2**8
"""Maximum number of combinations of changes at one moment; beyond that, a sample of them."""
FORBIDDEN = {"os.link", "os.symlink", "os.truncate"}
"""Events that the model lacks."""

Files = dict[Path, bytes]


class Change(NamedTuple):
    """Change of entries of a directory."""

    directory: int
    entries: dict[str, int | None]
    """Number of the file or directory behind each name; None if the name is removed."""


class Data(NamedTuple):
    """Content of a file: emptied, seen in passing, or synced."""

    file: int
    content: bytes
    synced: bool


class Sync(NamedTuple):
    """Sync of a directory."""

    directory: int


class Call(NamedTuple):
    """Call of a method of `LocalDirectory` and its promise."""

    start: int
    end: float
    """Number of operations when the call returned; infinite for a call that failed, which may have had its effects."""
    effects: dict[Path, bytes | None]
    """Content of each file that the call wrote; None for a removed file."""


@dataclass(frozen=True)
class State:
    """Files on the disk after a loss of power."""

    moment: int
    """Number of operations before the loss of power."""
    files: Files
    directories: frozenset[Path]
    promises: Mapping[Path, set[bytes | None]]
    """Contents that each file may have: the one that was promised last, and those being written; None: no file."""

    @property
    def seen(self) -> Files:
        """Files without temporary ones."""
        return {path: content for path, content in self.files.items() if not path.name.startswith(".")}

    def broken(self) -> list[str]:
        """Return the promises that do not hold, as text."""
        return [
            f"after {self.moment} operations {path} is {_shown(found)}, not {' or '.join(map(_shown, promised))}"
            for path in sorted(self.promises.keys() | self.seen.keys())
            if (found := self.files.get(path)) not in (promised := self.promises.get(path, {None}))
        ]

    def require_promises(self) -> None:
        """Fail if a promise does not hold."""
        broken = self.broken()
        assert not broken, "; ".join(broken)

    def restore(self, root: Path) -> None:
        """Create the files in an empty directory."""
        for directory in self.directories:
            (root / directory).mkdir(parents=True, exist_ok=True)
        for path, content in self.files.items():
            (root / path).write_bytes(content)


@dataclass
class Recording:
    """File operations below a directory, which is empty and durable when the recording starts."""

    root: Path
    operations: list[Change | Data | Sync] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    _entries: dict[int, dict[str, int]] = field(default_factory=lambda: {0: {}})
    """Present entries of each directory; the root has the number 0."""
    _next: int = 1

    def states(self, first: int = 0) -> Iterator[State]:
        """Iterate over the different states after each operation, from the moment `first` on."""
        for moment in range(first, len(self.operations) + 1):
            known: set[object] = set()
            promises = self._promises(moment)
            for files, directories in self._trees(moment):
                identity = frozenset(files.items()), directories
                if identity not in known:
                    known.add(identity)
                    yield State(moment, files, directories, promises)

    def require_promises(self, first: int = 0) -> int:
        """Check all promises in all states from the moment `first` on; return the number of states."""
        number = 0
        for number, state in enumerate(self.states(first), 1):  # noqa: B007
            state.require_promises()
        return number

    def require_promises_now(self) -> None:
        """Check all promises in the directory as it is, and in all states that a loss of power leaves of it now."""
        files = {path.relative_to(self.root): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}
        moment = len(self.operations)
        State(moment, files, frozenset(), self._promises(moment)).require_promises()
        self.require_promises(moment)

    def _promises(self, moment: int) -> dict[Path, set[bytes | None]]:
        promises: dict[Path, set[bytes | None]] = {}
        for call in self.calls:
            if call.start <= moment:
                for path, content in call.effects.items():
                    before = set() if call.end <= moment else promises.get(path, {None})
                    promises[path] = {content} | before
        return promises

    def _trees(self, moment: int) -> Iterator[tuple[Files, frozenset[Path]]]:
        done = self.operations[:moment]
        changes = [(index, change) for index, change in enumerate(done) if isinstance(change, Change)]
        last_sync = {sync.directory: index for index, sync in enumerate(done) if isinstance(sync, Sync)}
        open_changes = [index for index, change in changes if last_sync.get(change.directory, -1) < index]
        contents = self._contents(moment)
        for happened in _subsets(open_changes):
            entries: dict[int, dict[str, int]] = {}
            for index, change in changes:
                if index in happened or index not in open_changes:
                    for name, number in change.entries.items():
                        _enter(entries, change.directory, name, number)
            for version in range(3):
                yield self._tree(entries, {file: content[version] for file, content in contents.items()})

    def _tree(self, entries: dict[int, dict[str, int]], contents: dict[int, bytes]) -> tuple[Files, frozenset[Path]]:
        files: Files = {}
        directories: set[Path] = set()
        waiting = [(0, Path())]
        while waiting:
            directory, path = waiting.pop()
            directories.add(path)
            for name, number in entries.get(directory, {}).items():
                if number in self._entries:
                    waiting.append((number, path / name))
                else:
                    files[path / name] = contents.get(number, b"")
        return files, frozenset(directories)

    def _contents(self, moment: int) -> dict[int, tuple[bytes, bytes, bytes]]:
        """Return three possible contents of each file at a moment, which are equal if the file is synced."""
        before: dict[int, Data] = {}
        later: dict[int, bytes] = {}
        for index, data in enumerate(self.operations):
            if isinstance(data, Data):
                if index < moment:
                    before[data.file] = data
                elif data.content:
                    later.setdefault(data.file, data.content)
        contents = {}
        for file, data in before.items():
            whole = data.content or later.get(file, b"")
            contents[file] = (data.content,) * 3 if data.synced else (b"", whole[: len(whole) // 2], whole)
        return contents

    # Recording

    def _locate(self, path: Path) -> tuple[int, str] | None:
        """Return the number of the directory and the name in it; None outside the root or in an unknown directory."""
        if not path.is_relative_to(self.root) or path == self.root:
            return None
        directory = 0
        *parents, name = path.relative_to(self.root).parts
        for parent in parents:
            directory = self._entries.get(directory, {}).get(parent, -1)
        return (directory, name) if directory in self._entries else None

    def _number(self, path: Path) -> int | None:
        if path == self.root:
            return 0
        place = self._locate(path)
        return None if place is None else self._entries[place[0]].get(place[1])

    def _change(self, directory: int, **entries: int | None) -> None:
        self.operations.append(Change(directory, entries))
        for name, number in entries.items():
            _enter(self._entries, directory, name, number)

    def _new(self) -> int:
        self._next += 1
        return self._next

    def opened(self, path: Path) -> None:
        """Record that a file is opened for writing, which creates or empties it."""
        if (place := self._locate(path)) is None:
            return
        if (number := self._number(path)) is None:
            number = self._new()
            self._change(place[0], **{place[1]: number})
        self.operations.append(Data(number, b"", synced=False))

    def made(self, path: Path) -> None:
        """Record a new directory."""
        if (place := self._locate(path)) is not None and self._number(path) is None:
            number = self._new()
            self._entries[number] = {}
            self._change(place[0], **{place[1]: number})

    def removed(self, path: Path) -> None:
        """Record the removal of a file or an empty directory."""
        if (place := self._locate(path)) is not None and self._number(path) is not None:
            self._change(place[0], **{place[1]: None})

    def renamed(self, path: Path, new: Path) -> None:
        """Record a rename within a directory."""
        number, old_place, new_place = self._number(path), self._locate(path), self._locate(new)
        if number is None or old_place is None or new_place is None:
            return
        assert old_place[0] == new_place[0], "the model has renames within a directory only"
        if number not in self._entries:
            self.operations.append(Data(number, path.read_bytes(), synced=self._is_synced(number)))
        self._change(old_place[0], **{old_place[1]: None, new_place[1]: number})

    def synced(self, path: Path) -> None:
        """Record the sync of a file or a directory."""
        if (number := self._number(path)) in self._entries:
            self.operations.append(Sync(number))
        elif number is not None:
            self.operations.append(Data(number, path.read_bytes(), synced=True))

    def _is_synced(self, file: int) -> bool:
        of_file = [data for data in self.operations if isinstance(data, Data) and data.file == file]
        return bool(of_file) and of_file[-1].synced

    def called(self, start: int, effects: dict[Path, bytes | None], *, failed: bool) -> None:
        """Record a call that has returned or failed."""
        self.calls.append(Call(start, math.inf if failed else len(self.operations), effects))

    def present(self) -> Files:
        """Return the content that the calls so far have promised for each file."""
        promised: dict[Path, bytes | None] = {}
        for call in self.calls:
            promised |= call.effects
        return {path: content for path, content in promised.items() if content is not None}


def _enter(entries: dict[int, dict[str, int]], directory: int, name: str, number: int | None) -> None:
    inside = entries.setdefault(directory, {})
    if number is None:
        inside.pop(name, None)
    else:
        inside[name] = number


def _subsets(changes: list[int]) -> Iterator[frozenset[int]]:
    if 2 ** len(changes) <= MOST_SUBSETS:
        for size in range(len(changes) + 1):
            yield from map(frozenset, itertools.combinations(changes, size))
        return
    draw = random.Random(0)
    yield from (frozenset(), frozenset(changes))
    for _ in range(MOST_SUBSETS):
        yield frozenset(change for change in changes if draw.random() < 0.5)


def _shown(content: bytes | None) -> str:
    return "absent" if content is None else f"{content[:40]!r} ({len(content)} bytes)"


_active: list[Recording] = []


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if not _active:
        return
    recording = _active[-1]
    match event, arguments:
        case "open", (str() | os.PathLike() as path, _, int(flags)):
            if flags & (os.O_WRONLY | os.O_RDWR):
                recording.opened(Path(path))
        case "os.mkdir", (path, _, directory):
            recording.made(absolute(path, directory))
        case "os.remove" | "os.rmdir", (path, directory):
            recording.removed(absolute(path, directory))
        case "os.rename", (path, new, directory, other):
            recording.renamed(absolute(path, directory), absolute(new, other))
        case _ if event in FORBIDDEN:
            raise AssertionError(f"{event}{arguments} is not in the model")


def absolute(path: object, directory: object) -> Path:
    is_open = isinstance(directory, int) and directory >= 0
    return (path_of(directory) if is_open else Path()) / str(path)


def path_of(descriptor: object) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


_hooked: list[bool] = []


@contextmanager
def recorded(root: Path) -> Iterator[Recording]:
    """Record the file operations below a directory, and the promises of all calls of `LocalDirectory`."""
    if not sys.platform.startswith("linux"):
        pytest.skip("finds the paths of open files in /proc")
    assert not any(root.iterdir()), "operations on files that the recording lacks would be ignored"
    recording, fsync = Recording(root), os.fsync

    def recorded_fsync(descriptor: int) -> None:
        fsync(descriptor)
        recording.synced(path_of(descriptor))

    def effects_of_write(at: Path, name: str, content: bytes | memoryview) -> dict[Path, bytes | None]:
        return {at / name: bytes(content)}

    def effects_of_remove(at: Path, *names: str) -> dict[Path, bytes | None]:
        return {at / name: None for name in names}

    def effects_of_remove_all(at: Path) -> dict[Path, bytes | None]:
        return {path: None for call in recording.calls for path in call.effects if path.is_relative_to(at)}

    def effects_of_rename(at: Path, name: str, new: str) -> dict[Path, bytes | None]:
        return {at / new: recording.present().get(at / name), at / name: None}

    def effects_of_rename_subdirectory(at: Path, name: str, new: str) -> dict[Path, bytes | None]:
        moved = {path: content for path, content in recording.present().items() if path.is_relative_to(at / name)}
        return dict.fromkeys(moved) | {at / new / path.relative_to(at / name): moved[path] for path in moved}

    def watched(method: str, effects: Callable[..., dict[Path, bytes | None]]) -> Callable[..., None]:
        original = getattr(LocalDirectory, method)

        def call(directory: LocalDirectory, *arguments: object) -> None:
            start = len(recording.operations)
            if not directory.path.is_relative_to(root):
                original(directory, *arguments)
                return
            promised, failed = effects(directory.path.relative_to(root), *arguments), True
            try:
                original(directory, *arguments)
                failed = False
            finally:
                recording.called(start, promised, failed=failed)

        return call

    if not _hooked:
        sys.addaudithook(_audit)
        _hooked.append(True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", recorded_fsync)
        patch.setattr(LocalDirectory, "write", watched("write", effects_of_write))
        patch.setattr(LocalDirectory, "remove", watched("remove", effects_of_remove))
        patch.setattr(LocalDirectory, "remove_all", watched("remove_all", effects_of_remove_all))
        patch.setattr(LocalDirectory, "rename", watched("rename", effects_of_rename))
        patch.setattr(
            LocalDirectory, "rename_subdirectory", watched("rename_subdirectory", effects_of_rename_subdirectory)
        )
        _active.append(recording)
        try:
            yield recording
        finally:
            _active.remove(recording)
