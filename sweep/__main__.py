"""Entry point of the `exeunt` command, also as `python -m exeunt.sweep`."""

import gc
import sys

from ..specs import SpecError, masked
from .commands import app

RARELY = 100_000
"""Garbage collection threshold, in objects. With Python's default, a command takes a fifth longer."""


def main() -> None:
    """Run a command; print a `SpecError` as one message and exit with status 2."""
    gc.set_threshold(RARELY)
    try:
        app(prog_name="exeunt")
    except SpecError as error:
        print(f"exeunt: {masked(str(error))}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
