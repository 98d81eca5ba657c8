"""Directories with atomic file writes, even if the process or the node fails."""

import copy
import fcntl
import os
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..specs import SpecError

WriteGuard = Callable[[], object]
"""Function that is called immediately before a file changes; if it raises, the file stays unchanged."""


_TEMPORARY = re.compile(r"\..+\.(\d+)")
"""Name of a temporary file: a dot, the final name, a dot and the PID of its process."""


class StorageError(SpecError):
    """Storage that cannot be read or written; the message contains the place and the reason."""

    what = "the storage"


@dataclass(frozen=True, kw_only=True)
class FileInfo:
    """Size and modification time of a file."""

    size: int
    """File size in bytes."""
    modified: float
    """Time of the last modification, in seconds since 1970."""


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """Temporary file, or directory, of a process that has not finished it."""

    name: str
    pid: int
    """Number of the process, on the machine that it runs on."""
    is_directory: bool
    facts: FileInfo
    """Size of all files, and time of the last modification."""


class Directory(ABC):
    """A directory on a disk or elsewhere, which need not exist yet.

    A change is durable when the method returns: it survives a loss of power. Every method raises `StorageError` if it
    fails.
    """

    _guard: WriteGuard | None = None

    def guarded(self, guard: WriteGuard) -> Self:
        """Return the same directory, which changes only if `guard` does not raise."""
        twin = copy.copy(self)
        twin._guard = guard
        return twin

    @abstractmethod
    def inside(self, *names: str) -> "Directory":
        """Return a subdirectory, without a guard."""

    @abstractmethod
    def subdirectories(self) -> list[str]:
        """Return the names of the subdirectories, sorted."""

    @abstractmethod
    def entries(self) -> dict[str, FileInfo]:
        """Return the files by name, sorted."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None if it does not exist."""

    @abstractmethod
    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write a file atomically, replacing an existing one."""

    @abstractmethod
    def remove(self, *names: str) -> None:
        """Remove the files that exist."""

    @abstractmethod
    def remove_all(self) -> None:
        """Remove the directory with all of its content, without calling the guard."""

    @abstractmethod
    def rename(self, name: str, new: str) -> None:
        """Rename a file."""

    @abstractmethod
    def rename_subdirectory(self, name: str, new: str) -> None:
        """Rename a subdirectory, without calling the guard."""

    @abstractmethod
    def local(self, name: str) -> AbstractContextManager[Path]:
        """Return a context with a local path at which the file can be read."""

    @abstractmethod
    def located(self, name: str) -> str:
        """Return the location of a file, for messages."""


class LocalDirectory(Directory):
    """A directory on a mounted disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def inside(self, *names: str) -> "LocalDirectory":
        """Return a subdirectory, without a guard."""
        return LocalDirectory(self.path.joinpath(*names))

    def subdirectories(self) -> list[str]:
        """Return the names of the subdirectories, sorted; none if the directory does not exist."""
        with self._reported("read"):
            return [item.name for item in self._items() if item.is_dir()]

    def entries(self) -> dict[str, FileInfo]:
        """Return the files by name, sorted, without hidden and temporary files, whose names begin with a dot."""
        with self._reported("read"):
            found = {}
            for item in self._items():
                if item.is_file() and not item.name.startswith("."):
                    with suppress(FileNotFoundError):  # another process has just removed it
                        facts = item.stat()
                        found[item.name] = FileInfo(size=facts.st_size, modified=facts.st_mtime)
            return found

    def leftovers(self) -> list[Leftover]:
        """Return the temporary files and directories, sorted by name."""
        with self._reported("read"):
            found = []
            for item in self._items():
                if (process := _TEMPORARY.fullmatch(item.name)) is not None:
                    with suppress(FileNotFoundError):  # its process has just renamed it
                        path = self.path / item.name
                        files = [file for file in (path, *path.rglob("*")) if file.is_file()]
                        size = sum(file.stat().st_size for file in files)
                        facts = FileInfo(size=size, modified=path.stat().st_mtime)
                        is_directory, pid = path.is_dir(), int(process[1])
                        found.append(Leftover(name=item.name, pid=pid, is_directory=is_directory, facts=facts))
            return found

    def _items(self) -> "list[os.DirEntry[str]]":
        """Return what the directory holds, sorted by name; nothing if it does not exist."""
        try:
            return sorted(os.scandir(self.path), key=lambda item: item.name)
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None if it does not exist."""
        with self._reported("read", name):
            try:
                return (self.path / name).read_bytes()
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write to a temporary file in the directory, flush it to the disk, and rename it."""
        temporary = self.path / f".{name}.{os.getpid()}"
        with self._reported("written", name):
            _make(self.path)
            try:
                with temporary.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                with self._permitted():
                    temporary.replace(self.path / name)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            _sync(self.path)

    def remove(self, *names: str) -> None:
        """Remove the files that exist."""
        with self._reported("removed", *names[:1]):
            if existing := [path for name in names if (path := self.path / name).exists()]:
                with self._permitted():
                    for path in existing:
                        path.unlink(missing_ok=True)
            if names and self.path.exists():  # files may be gone because a process failed between removal and sync
                _sync(self.path)

    def remove_all(self) -> None:
        """Remove the directory with all of its content, if it exists."""
        with self._reported("removed"), suppress(FileNotFoundError):
            if self.path.exists():
                shutil.rmtree(self.path)
            _sync(self.path.parent)

    def rename(self, name: str, new: str) -> None:
        """Rename a file."""
        with self._reported("renamed", name):
            with self._permitted():
                (self.path / name).rename(self.path / new)
            _sync(self.path)

    def rename_subdirectory(self, name: str, new: str) -> None:
        """Rename a subdirectory, without calling the guard."""
        with self._reported("renamed", name):
            (self.path / name).rename(self.path / new)
            _sync(self.path)

    def local(self, name: str) -> AbstractContextManager[Path]:
        """Return a context with the path of the file."""
        return nullcontext(self.path / name)

    def located(self, name: str) -> str:
        """Return the path of a file, for messages."""
        return str(self.path / name)

    @contextmanager
    def _permitted(self) -> Iterator[None]:
        """Call the guard and run the block under a lock, which excludes all other guarded changes of the directory."""
        if self._guard is None:
            yield
            return
        with (self.path / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._guard()
            yield

    @contextmanager
    def _reported(self, what: str, name: str = "") -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"{self.path / name} cannot be {what}: {error.strerror or error}.") from error


def _make(path: Path) -> None:
    """Create a directory and its missing parents. Each is synced in its parent before it gets its first entry."""
    if not path.exists():
        _make(path.parent)
        path.mkdir(exist_ok=True)
    with os.scandir(path) as entries:
        is_empty = next(entries, None) is None
    if is_empty:  # new, or left by a process that failed before the sync
        with suppress(PermissionError):  # a parent that is not readable, such as a directory of all users
            _sync(path.parent)


def _sync(path: Path) -> None:
    """Flush the entries of a directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
