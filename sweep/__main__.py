"""Entry point of the `exeunt` command, also as `python -m exeunt.sweep`."""

import gc
import os
import sys

from ..specs import SpecError, masked, printable_lines
from ..specs.user_code import UserCodeError
from .commands import app

RARELY = 100_000
"""Garbage collection threshold, in objects. With Python's default, a command takes a fifth longer."""


TRACEBACK = "EXEUNT_TRACEBACK"
"""Environment variable: if it is set, the traceback of an error in a user's own code is printed before its message."""


def main() -> None:
    """Run a command; print a `SpecError` as one message and exit with status 2."""
    gc.set_threshold(RARELY)
    try:
        app(prog_name="exeunt")
    except SpecError as error:
        message = masked(str(error))
        trace = next((cause.trace for cause in (error, error.__cause__) if isinstance(cause, UserCodeError)), "")
        if trace and os.environ.get(TRACEBACK):
            print(masked(printable_lines(trace)), file=sys.stderr)
        elif trace:
            message += f" For its traceback, set {TRACEBACK}=1."
        print(f"exeunt: {message}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
