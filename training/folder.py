"""Files by name, each of which appears whole or not at all, whenever the process or the machine dies."""

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
"""Asked at the last moment before a file changes; what it raises keeps the file as it is."""


class StorageError(SpecError):
    """A place where files are kept cannot be written or read. The message says which, and why."""

    what = "the storage"


@dataclass(frozen=True, kw_only=True)
class FileInfo:
    """What a folder says of a file."""

    size: int
    """In bytes."""
    modified: float
    """Seconds since 1970."""


class Folder(ABC):
    """A folder that need not exist yet, on a disk or elsewhere. Every method raises `StorageError` where it cannot."""

    _guard: WriteGuard | None = None

    def guarded(self, guard: WriteGuard) -> Self:
        """The same folder, which changes only as long as the guard lets it."""
        twin = copy.copy(self)
        twin._guard = guard
        return twin

    @abstractmethod
    def inside(self, *names: str) -> "Folder":
        """A folder in this one, without a guard."""

    @abstractmethod
    def folders(self) -> list[str]:
        """The names of the folders in it, in order."""

    @abstractmethod
    def entries(self) -> dict[str, FileInfo]:
        """Its files by name, in the names' order."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """A file's content, or None if there is no such file."""

    @abstractmethod
    def write(self, name: str, content: bytes | memoryview) -> None:
        """Makes a file appear whole, in the place of one with this name."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""

    @abstractmethod
    def remove_all(self) -> None:
        """Removes the folder with everything in it, whoever has it."""

    @abstractmethod
    def rename(self, name: str, new: str) -> None:
        """Gives a file another name."""

    @abstractmethod
    def local(self, name: str) -> AbstractContextManager[Path]:
        """A path at which the file can be read inside the context."""

    @abstractmethod
    def located(self, name: str) -> str:
        """Where a file is, for messages."""


class LocalFolder(Folder):
    """A folder on a disk that this machine has mounted."""

    def __init__(self, path: Path) -> None:
        """Of a path."""
        self.path = path

    def inside(self, *names: str) -> "LocalFolder":
        """A folder in this one."""
        return LocalFolder(self.path.joinpath(*names))

    def folders(self) -> list[str]:
        """The names of the folders in it."""
        with self._told("read"):
            return sorted(item.name for item in os.scandir(self.path) if item.is_dir()) if self.path.exists() else []

    def entries(self) -> dict[str, FileInfo]:
        """Its files; what is being written has a name that begins with a dot, and is left out."""
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
        """A file's content."""
        with self._told("read", name):
            try:
                return (self.path / name).read_bytes()
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Writes it elsewhere in the folder, makes sure that the disk has it, and renames it."""
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
        """Removes a file."""
        with self._told("removed", name):
            if (self.path / name).exists():
                with self._permitted():
                    (self.path / name).unlink(missing_ok=True)

    def remove_all(self) -> None:
        """Removes the folder, if it is there."""
        with self._told("removed"), suppress(FileNotFoundError):
            shutil.rmtree(self.path)

    def rename(self, name: str, new: str) -> None:
        """Renames a file."""
        with self._told("renamed", name), self._permitted():
            (self.path / name).rename(self.path / new)

    def local(self, name: str) -> AbstractContextManager[Path]:
        """The file's own path."""
        return nullcontext(self.path / name)

    def located(self, name: str) -> str:
        """The path."""
        return str(self.path / name)

    @contextmanager
    def _permitted(self) -> Iterator[None]:
        """Between the guard's answer and what is done inside, nobody else who has a guard changes the folder."""
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
