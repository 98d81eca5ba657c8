"""Text from elsewhere, such as messages of libraries and names in files, as it is shown."""

import re

_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f"  # control characters, which begin the escape sequences of a terminal
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # characters that change the direction of the text
    r"\u2028\u2029\ud800-\udfff]"  # line separators, and bytes that are no text
)


def is_printable(text: str) -> bool:
    """Return True if a text is one line that neither a terminal nor a browser interprets."""
    return not _UNPRINTABLE.search(text)


def printable_lines(text: str) -> str:
    """Return a text with its lines, in which control characters and changes of direction are escaped."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(_UNPRINTABLE.sub(_escaped, line.expandtabs(4)) for line in lines)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def one_line(text: str) -> str:
    """Return a text without line breaks, control characters and changes of direction."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())
