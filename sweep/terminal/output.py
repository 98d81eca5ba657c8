"""Standard output and standard error of a command: any encoding, a full disk, a closed pipe."""

import codecs
import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from ...specs import SpecError
from ...specs.text import encodable

ASCII_SUPERSET = "latin-1"
"""Declared encoding of a stream in ASCII, which click would otherwise replace by UTF-8 (8.3)."""


class OutputError(SpecError):
    """Standard output cannot be written."""


@contextmanager
def checked_output() -> Iterator[None]:
    """Let all text be printed inside the context, in ASCII forms where an encoding lacks a character.

    A write to standard output that fails raises `OutputError`, and one to standard error has no effect. Call `flush` of
    standard output inside the context, since most writes fail only then.
    """
    with _checked("stdout"), _checked("stderr"):
        yield


@contextmanager
def _checked(name: str) -> Iterator[None]:
    before: TextIO | None = getattr(sys, name)
    if before is None:  # the file descriptor was closed
        with Path(os.devnull).open("w") as nothing:
            setattr(sys, name, nothing)
            try:
                yield
            finally:
                setattr(sys, name, before)
        return
    if not hasattr(before, "buffer"):
        yield
        return
    stream = _Stream(before)
    setattr(sys, name, stream)
    try:
        yield
    finally:
        setattr(sys, name, before)
        with suppress(OutputError):
            stream.flush()
        stream.detach()


class _Stream(io.TextIOWrapper):
    def __init__(self, stream: TextIO) -> None:
        self._can_encode = stream.encoding
        is_ascii = codecs.lookup(stream.encoding).name == "ascii"
        super().__init__(
            stream.buffer,
            encoding=ASCII_SUPERSET if is_ascii else stream.encoding,
            errors="backslashreplace",
            newline="",
            line_buffering=bool(stream.line_buffering),
        )
        self._is_output = stream is sys.stdout

    def write(self, text: str, /) -> int:
        with self._checked():
            super().write(encodable(text, self._can_encode))
        return len(text)

    def flush(self) -> None:
        with self._checked():
            super().flush()

    @contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            _discard(self)
            if not self._is_output:
                return
            fix = "The reader of the pipe ended" if error.errno == errno.EPIPE else "Free space, or write elsewhere"
            raise OutputError(f"standard output cannot be written: {error.strerror}. {fix}.") from error


def _discard(stream: io.TextIOWrapper) -> None:
    """Let all further output of a stream go nowhere, since it would fail once more at the end of the process."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
