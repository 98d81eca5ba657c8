"""Errors in code of users, such as a plugin: one message with their file and line, what came, and what to do."""

import builtins
import difflib
import functools
import inspect
import linecache
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, TypeGuard

from .errors import SpecError, nearest
from .text import one_line

user_modules: set[str] = set()
"""Names of the modules and packages that register parts from outside this package."""

LONGEST_LINE = 100
"""Number of characters of a source line that a message shows."""


class UserCodeError(SpecError):
    """Error in a user's own code. The message begins with the file and line."""

    def __init__(self, message: str, *, field: str | None = None, trace: str = "") -> None:
        super().__init__(message, field=field)
        self.trace = trace
        """Complete traceback; empty if no exception was raised."""


@contextmanager
def user_code(
    subject: str,
    *code: object,
    received: Callable[[str], str] | None = None,
    unless: Callable[[Exception], bool] | None = None,
    owns: bool = False,
    field: str | None = None,
) -> Iterator[None]:
    """Raise a `UserCodeError` for each exception in the block that a user's own code causes.

    An exception belongs to a user if a line of one of the `user_modules` is in its traceback, or if `code` is theirs.
    Other exceptions pass. A `SpecError` passes as well, since the user's code refuses a value with it.

    Args:
        subject: Noun phrase for the called code, such as `the loss of method 'own'`.
        code: Functions and classes that the block calls.
        received: Function from the source line of an exception to sentences about the arguments.
        unless: Function that returns True for exceptions that pass, such as those for too little memory.
        owns: True if a `SpecError` of this package in the block is about `code`; it gets the place of `code`.
        field: Field of the error.
    """
    try:
        yield
    except UserCodeError:
        raise
    except SpecError as error:
        place = (_place(error) or definition(*code)) if owns else None
        if place is None:
            raise
        raise UserCodeError(f"{place}: {error}", field=error.field or field, trace=formatted(error)) from error
    except (Exception, SystemExit) as error:
        place = _place(error) or definition(*code)
        if place is None or (unless is not None and isinstance(error, Exception) and unless(error)):
            raise
        line = _source_line(error)
        about = "" if received is None else received(line)
        sentences = [f"{place}: {subject} {_raised(error)}.", _fix(error, line), about]
        message = " ".join(sentence for sentence in sentences if sentence)
        raise UserCodeError(message, field=field, trace=formatted(error)) from error


def refused(subject: str, problem: str, *code: object, field: str | None = None) -> SpecError:
    """Return the error for something that called code returned: with its place, if it is a user's."""
    place = definition(*code)
    message = f"{subject} {problem}"
    return SpecError(message, field=field) if place is None else UserCodeError(f"{place}: {message}", field=field)


def is_users(code: object) -> bool:
    """Return True if a function, a class or an instance is defined outside this package, by a plugin or a package."""
    return definition(code) is not None


def definition(*code: object) -> str | None:
    """Return the file and line of the first function or class that a user defines; None if there is none."""
    for one in map(_unwrapped, code):
        module = getattr(one, "__module__", None)
        if not _is_user_module(module):
            continue
        defined = one if inspect.isclass(one) or inspect.isroutine(one) else type(one)
        try:
            return f"{inspect.getsourcefile(defined) or inspect.getfile(defined)}:{inspect.getsourcelines(defined)[1]}"
        except (OSError, TypeError):
            return getattr(sys.modules.get(module), "__file__", None) or module
    return None


def shapes(values: Mapping[str, object]) -> str:
    """Return names with shapes and dtypes of tensors, such as `logits: 2 x (8, 10) float32, labels: (8,) int64`."""
    return ", ".join(f"{name}: {described(value)}" for name, value in values.items())


def described(value: object) -> str:
    """Return shape and dtype of a tensor, the same of the items of a sequence, or another value with its type."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None:
        return f"{tuple(shape)} {str(dtype).removeprefix('torch.')}"
    if isinstance(value, tuple | list):
        parts = [described(part) for part in value]
        if parts and len(set(parts)) == 1:
            return parts[0] if len(parts) == 1 else f"{len(parts)} x {parts[0]}"
        return "[" + ", ".join(parts) + "]" if parts else "none"
    if isinstance(value, bool | int | float | str | None):
        return one_line(f"{value!r:.60}")
    return f"of type {type(value).__name__}"


def formatted(error: BaseException) -> str:
    """Return the complete traceback of an error."""
    return "".join(traceback.format_exception(error))


def _unwrapped(code: Any) -> Any:
    """Return the function below partial applications and decorators."""
    while isinstance(code, functools.partial) or hasattr(code, "__wrapped__"):
        code = code.func if isinstance(code, functools.partial) else code.__wrapped__
    return code


def _is_user_module(name: Any) -> TypeGuard[str]:
    return isinstance(name, str) and (name in user_modules or name.partition(".")[0] in user_modules)


def _frames(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _deepest(error: BaseException) -> tuple[FrameType, int] | None:
    """Return the deepest frame in a user's file, of the error or of an error that caused it, and its line."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        found = None
        for frame, line in _frames(cause.__traceback__):
            is_file = not frame.f_code.co_filename.startswith("<")  # unlike the methods that `dataclass` generates
            if is_file and _is_user_module(frame.f_globals.get("__name__")):
                found = frame, line
        if found is not None:
            return found
        cause = cause.__cause__ or cause.__context__
    return None


def _place(error: BaseException) -> str | None:
    found = _deepest(error)
    return None if found is None else f"{found[0].f_code.co_filename}:{found[1]}"


def _raised(error: BaseException) -> str:
    """Return the predicate about an exception, with the nearest name if a name is unknown."""
    if isinstance(error, SystemExit):
        return f"called sys.exit({'' if error.code is None else repr(error.code)})"
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    text = one_line(text).rstrip(" .:")
    names = _names_like(error)
    if names is not None:
        text = f"{re.split(r'[.;] Did you mean', text)[0]}; {names}"
    return f"raised {type(error).__name__}" + (f": {text}" if text else "")


def _names_like(error: BaseException) -> str | None:
    """Return the phrase about the names that are nearest to an unknown one."""
    if isinstance(error, AttributeError) and error.name and error.obj is not None:
        public = [name for name in dir(error.obj) if not name.startswith("_")]
        is_ours = type(error.obj).__module__.partition(".")[0] == __name__.partition(".")[0]
        return nearest(error.name, public) if is_ours or difflib.get_close_matches(error.name, public) else None
    if isinstance(error, NameError) and error.name and (found := _deepest(error)) is not None:
        return nearest(error.name, {**found[0].f_globals, **found[0].f_locals, **vars(builtins)})
    return None


def _source_line(error: BaseException) -> str:
    """Return the source line of the deepest frame in a user's file; empty without such a frame."""
    found = _deepest(error)
    return "" if found is None else one_line(linecache.getline(found[0].f_code.co_filename, found[1]))[:LONGEST_LINE]


def _fix(error: BaseException, source: str) -> str:
    """Return what to do, with the source line."""
    if isinstance(error, SystemExit):
        fix = "Raise an exception instead of ending the process"
    elif isinstance(error, RecursionError):
        fix = "The function calls itself without an end: correct it"
    elif "Module.__init__() call" in str(error):
        fix = "Call super().__init__() first"
    elif not source:
        fix = "Correct this code"
    else:
        fix = "Correct this line"
    return f"{fix}: `{source}`." if source else f"{fix}."
