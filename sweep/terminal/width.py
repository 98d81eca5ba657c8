"""Width of printed text."""

import shutil


def text_width() -> int:
    """Return the characters per line of the terminal, of the variable COLUMNS, or 100."""
    return shutil.get_terminal_size((100, 24)).columns
