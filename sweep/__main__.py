"""Entry point of the `exeunt` command, also as `python -m exeunt.sweep`."""

import errno
import gc
import os
import re
import sys

from ..specs import SpecError, masked, printable_lines, shortened
from ..specs.user_code import UserCodeError
from .commands import app
from .terminal.output import checked_output

RARELY = 100_000
"""Garbage collection threshold, in objects. With Python's default, a command takes a fifth longer."""

TRACEBACK = "EXEUNT_TRACEBACK"
"""Environment variable: if it is set, the traceback of an error in a user's own code is printed before its message."""

LONGEST_WORD = 1000
"""Number of characters of a value in a message; no usual path is as long."""

OF_THE_MACHINE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "Free space there, then run the same command again"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "Choose a place that you may write"),
    errno.EIO: "Check this disk or terminal",
}
"""Remedies of errors of the operating system that no code of this package causes."""


def main() -> None:
    """Run a command; print an error that a user can mend as one message, and exit with status 2."""
    gc.set_threshold(RARELY)
    with checked_output():
        try:
            try:
                app(prog_name="exeunt")
            finally:
                sys.stdout.flush()
        except SpecError as error:
            _explain(error)
            sys.exit(2)
        except OSError as error:
            if error.errno not in OF_THE_MACHINE:
                raise
            _report(f"{error.filename or 'a file'} cannot be used: {error.strerror}. {OF_THE_MACHINE[error.errno]}.")
            sys.exit(2)


def _explain(error: SpecError) -> None:
    """Print an error, and if it has a traceback of a user's own code, the traceback or how to get it."""
    message = str(error)
    trace = next((cause.trace for cause in (error, error.__cause__) if isinstance(cause, UserCodeError)), "")
    if trace and os.environ.get(TRACEBACK):
        print(masked(printable_lines(trace)), file=sys.stderr)
    elif trace:
        message += f" For its traceback, set {TRACEBACK}=1."
    _report(message)


def _report(message: str) -> None:
    readable = re.sub(r"\S+", lambda word: shortened(word[0], LONGEST_WORD), masked(printable_lines(message)))
    print(f"exeunt: {readable}", file=sys.stderr)


if __name__ == "__main__":
    main()
