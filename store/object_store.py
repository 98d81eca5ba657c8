"""Directories of an object store such as s3://, through pyarrow's file systems."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pyarrow import fs

from ..specs import SpecError, masked
from .directory import Directory, FileInfo, StorageError


class ObjectStoreDirectory(Directory):
    """Directory behind a URI. Object stores write objects atomically, so no rename is needed."""

    def __init__(self, uri: str) -> None:
        """Open a URI such as `s3://bucket/sweeps?endpoint_override=http://127.0.0.1:9000`. Raises `SpecError`."""
        self._uri = uri
        self._open()

    def _open(self) -> None:
        try:
            self._files, self._path = fs.FileSystem.from_uri(self._uri)
        except (OSError, ValueError) as error:
            problem = masked(f"{self._uri!r} cannot be used as storage: {error}", self._uri)
            raise SpecError(problem, field="storage") from error

    def __getstate__(self) -> dict[str, Any]:
        return {"_uri": self._uri, "_guard": self._guard}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._uri, self._guard = state["_uri"], state["_guard"]
        self._open()

    def inside(self, *names: str) -> "ObjectStoreDirectory":
        """Return a directory in this one."""
        base, question, options = self._uri.partition("?")
        return ObjectStoreDirectory("/".join((base.rstrip("/"), *map(quote, names))) + question + options)

    def subdirectories(self) -> list[str]:
        """Return the sorted names of the directories in this one."""
        with self._reported("read"):
            found = self._files.get_file_info(fs.FileSelector(self._path, allow_not_found=True))
            return sorted(item.base_name for item in found if item.type == fs.FileType.Directory)

    def entries(self) -> dict[str, FileInfo]:
        """Return the objects in this directory by name."""
        with self._reported("read"):
            found = self._files.get_file_info(fs.FileSelector(self._path, allow_not_found=True))
            return {
                item.base_name: FileInfo(size=item.size, modified=item.mtime.timestamp() if item.mtime else 0.0)
                for item in sorted(found, key=lambda item: item.base_name)
                if item.type == fs.FileType.File
            }

    def read(self, name: str) -> bytes | None:
        """Return the content of an object; None if it does not exist."""
        with self._reported("read", name):
            try:
                with self._files.open_input_stream(self._at(name)) as stream:
                    return stream.read()
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write an object. Another writer can write it between the guard's check and this write."""
        with self._reported("written", name):
            self._check_guard()
            with self._files.open_output_stream(self._at(name)) as stream:
                stream.write(content)

    def remove(self, *names: str) -> None:
        """Remove the objects that exist."""
        for name in names:
            with self._reported("removed", name):
                if self._files.get_file_info(self._at(name)).type != fs.FileType.NotFound:
                    self._check_guard()
                    self._files.delete_file(self._at(name))

    def remove_all(self) -> None:
        """Remove the directory: all objects under its prefix, and the object that marks it."""
        with self._reported("removed"):
            if self._files.get_file_info(self._path).type != fs.FileType.NotFound:
                self._files.delete_dir(self._path)

    def rename(self, name: str, new: str) -> None:
        """Copy an object to a new name and remove the old one."""
        with self._reported("renamed", name):
            self._check_guard()
            self._files.move(self._at(name), self._at(new))

    def rename_subdirectory(self, name: str, new: str) -> None:
        """Copy the objects of a subdirectory under a new name and remove the old ones."""
        with self._reported("renamed", name):
            self._files.move(self._at(name), self._at(new))

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """Copy an object to a temporary file that exists inside the context; yield its path."""
        with tempfile.TemporaryDirectory() as scratch:
            if (content := self.read(name)) is not None:
                (Path(scratch) / name).write_bytes(content)
            yield Path(scratch) / name

    def located(self, name: str) -> str:
        """Return the URI of an object, without the options and the credentials of the store."""
        return f"{masked(self._uri).partition('?')[0].rstrip('/')}/{name}"

    def _at(self, name: str) -> str:
        return f"{self._path}/{name}"

    def _check_guard(self) -> None:
        if self._guard is not None:
            self._guard()

    @contextmanager
    def _reported(self, what: str, name: str = "") -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(masked(f"{self.located(name)} cannot be {what}: {error}.", self._uri)) from error
