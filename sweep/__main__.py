"""`exeunt` at the command line, also as `python -m exeunt.sweep`."""

import sys

from ..specs import SpecError
from .commands import app


def main() -> None:
    """Runs a command. What a user got wrong is one message and exit status 2."""
    try:
        app(prog_name="exeunt")
    except SpecError as error:
        print(f"exeunt: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
