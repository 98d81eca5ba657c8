"""`exeunt` at the command line, also as `python -m exeunt.sweep`."""

import gc
import sys

from ..specs import SpecError
from .commands import app

RARELY = 100_000
"""Objects that are made between two collections. To look through all that a command imports takes a fifth longer."""


def main() -> None:
    """Runs a command. What a user got wrong is one message and exit status 2."""
    gc.set_threshold(RARELY)
    try:
        app(prog_name="exeunt")
    except SpecError as error:
        print(f"exeunt: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
