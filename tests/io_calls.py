"""Hook of every I/O call that the store makes below a directory: it can count the calls, let one fail, or stop."""

import errno
import fcntl
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .store.crash_states import absolute, path_of

Before = Callable[[str, Path], int | None]
"""Function that gets the name of an I/O call and its path (the new one of a rename) before the call happens.

It may raise instead of the call. For a write, it may return the number of bytes that the call writes.
"""


class Killed(BaseException):
    """Death of a process, which the product cannot catch."""


@dataclass
class Fault:
    """Failure of one I/O call."""

    at: int
    """Number of the call, from 1; of the write, for a short write."""
    kind: str
    """Name of an error such as `ENOSPC`, `short write`, or `kill`: then all later calls fail as well."""
    happened: bool = False
    _calls: int = 0

    def __call__(self, call: str, path: Path) -> int | None:
        """Count the call and let it fail if it is due."""
        if self.kind == "short write" and call != "write":
            return None
        self._calls += 1
        if self.kind == "kill" and self._calls >= self.at:
            self.happened = True
            raise Killed
        if self._calls != self.at:
            return None
        self.happened = True
        if self.kind == "short write":
            return 1
        number = getattr(errno, self.kind)
        raise OSError(number, os.strerror(number), str(path))


@contextmanager
def intercepted(root: Path, before: Before) -> Iterator[None]:
    """Call `before` immediately before each I/O call of this process below a directory."""

    prefix = f"{root}/"

    def announce(call: str, path: Any, directory: object = None) -> None:
        if isinstance(path, io.IOBase):
            path = path.fileno()
        if isinstance(path, int):
            path = path_of(path)
        elif directory is not None:
            path = absolute(path, directory)
        if (text := os.fspath(path)).startswith(prefix):
            before(call, Path(text))

    def hook(module: Any, name: str, call: str) -> None:
        original = getattr(module, name)

        def hooked(path: Any, *arguments: Any, **named: Any) -> Any:
            announce(call, arguments[0] if call == "rename" else path, named.get("dir_fd"))
            return original(path, *arguments, **named)

        patch.setattr(module, name, hooked)

    real_open = io.open

    def hooked_open(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        if isinstance(file, int) or not os.fspath(file).startswith(prefix):
            return real_open(file, mode, *arguments, **named)
        announce("open", file)
        raw = _File(file, mode.replace("b", "").replace("t", ""), before)
        buffered = io.BufferedReader(raw) if mode.startswith("r") else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered)

    with pytest.MonkeyPatch.context() as patch:
        for name, call in {
            "open": "open", "fsync": "sync", "replace": "rename", "rename": "rename", "unlink": "unlink",
            "rmdir": "rmdir", "mkdir": "mkdir", "scandir": "scandir", "stat": "stat", "lstat": "stat",
        }.items():  # fmt: skip
            hook(os, name, call)
        hook(fcntl, "flock", "lock")
        patch.setattr(io, "open", hooked_open)
        yield


class _File(io.FileIO):
    """File without a buffer, each of whose reads and writes is announced."""

    def __init__(self, file: str | os.PathLike[str], mode: str, before: Before) -> None:
        super().__init__(file, mode)
        self._before, self._path = before, Path(file)

    def write(self, content: Any) -> int:
        most = self._before("write", self._path)
        return super().write(content if most is None else memoryview(content)[:most])

    def readall(self) -> bytes:
        self._before("read", self._path)
        return super().readall()

    def readinto(self, buffer: Any) -> int:
        self._before("read", self._path)
        return super().readinto(buffer)


def memory_folder() -> Path:
    """Return a new directory in memory where there is such a file system, otherwise on the disk."""
    return Path(tempfile.mkdtemp(prefix="exeunt-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
