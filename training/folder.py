"""Directories with atomic file writes, even if the process or the node fails."""

import copy
import fcntl
import os
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


class Folder(ABC):
    """A directory on a disk or elsewhere, which need not exist yet. Every method raises `StorageError` if it fails."""

    _guard: WriteGuard | None = None

    def guarded(self, guard: WriteGuard) -> Self:
        """Return the same directory, which changes only if `guard` does not raise."""
        twin = copy.copy(self)
        twin._guard = guard
        return twin

    @abstractmethod
    def inside(self, *names: str) -> "Folder":
        """Return a subdirectory, without a guard."""

    @abstractmethod
    def folders(self) -> list[str]:
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
    def remove(self, name: str) -> None:
        """Remove a file if it exists."""

    @abstractmethod
    def remove_all(self) -> None:
        """Remove the directory with all of its content, without calling the guard."""

    @abstractmethod
    def rename(self, name: str, new: str) -> None:
        """Rename a file."""

    @abstractmethod
    def local(self, name: str) -> AbstractContextManager[Path]:
        """Return a context with a local path at which the file can be read."""

    @abstractmethod
    def located(self, name: str) -> str:
        """Return the location of a file, for messages."""


class LocalFolder(Folder):
    """A directory on a mounted disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def inside(self, *names: str) -> "LocalFolder":
        """Return a subdirectory, without a guard."""
        return LocalFolder(self.path.joinpath(*names))

    def folders(self) -> list[str]:
        """Return the names of the subdirectories, sorted; none if the directory does not exist."""
        with self._told("read"):
            return sorted(item.name for item in os.scandir(self.path) if item.is_dir()) if self.path.exists() else []

    def entries(self) -> dict[str, FileInfo]:
        """Return the files by name, sorted, without hidden and temporary files, whose names begin with a dot."""
        with self._told("read"):
            if not self.path.exists():
                return {}
            found = {}
            for item in sorted(os.scandir(self.path), key=lambda item: item.name):
                if item.is_file() and not item.name.startswith("."):
                    facts = item.stat()
                    found[item.name] = FileInfo(size=facts.st_size, modified=facts.st_mtime)
            return found

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None if it does not exist."""
        with self._told("read", name):
            try:
                return (self.path / name).read_bytes()
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write to a temporary file in the directory, flush it to the disk, and rename it."""
        temporary = self.path / f".{name}.{os.getpid()}"
        with self._told("written", name):
            self.path.mkdir(parents=True, exist_ok=True)
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

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        with self._told("removed", name):
            if (self.path / name).exists():
                with self._permitted():
                    (self.path / name).unlink(missing_ok=True)

    def remove_all(self) -> None:
        """Remove the directory with all of its content, if it exists."""
        with self._told("removed"), suppress(FileNotFoundError):
            shutil.rmtree(self.path)

    def rename(self, name: str, new: str) -> None:
        """Rename a file."""
        with self._told("renamed", name), self._permitted():
            (self.path / name).rename(self.path / new)

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
    def _told(self, what: str, name: str = "") -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"{self.path / name} cannot be {what}: {error.strerror or error}.") from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
