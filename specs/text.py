"""Text from elsewhere, such as messages of libraries and names in files, as it is shown."""

import io
import re
import sys
import unicodedata
from contextlib import AbstractContextManager, redirect_stdout
from typing import TextIO

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


class PrintableStream(io.TextIOBase):
    """Stream that writes text to another one, with control characters escaped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str, /) -> int:
        """Write the text; return its number of characters."""
        self._stream.write(printable_lines(text))
        return len(text)

    def flush(self) -> None:
        """Flush the other stream."""
        self._stream.flush()


def user_output() -> AbstractContextManager[object]:
    """Return a context in which the output of a user's own code goes to standard error, with escaped characters.

    Standard output holds the results of a command, such as JSON.
    """
    return redirect_stdout(PrintableStream(sys.stderr))


def one_line(text: str) -> str:
    """Return a text without line breaks, control characters and changes of direction."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


def shortened(text: str, length: int) -> str:
    """Return a text with at most about `length` characters: of a longer one, the middle is left out."""
    half = length // 2
    return text if len(text) <= length else f"{text[:half]} ... {text[-half:]}"


_PLAIN = {
    **{"±": "+-", "†": "#", "°": "o", "−": "-", "–": "-", "—": "-", "…": "...", "≤": "<=", "≥": ">=", "×": "x"},
    **{
        "·": ".",
        "•": "*",
        "→": "->",
        "‘": "'",
        "’": "'",
        "“": '"',
        "”": '"',
        "„": '"',
        "█": "#",
        "Δ": "D",
        "µ": "u",
        "μ": "u",
    },
    **dict.fromkeys("─━╌╴╶╸╺═", "-"),
    **dict.fromkeys("│┃║", "|"),
}
"""ASCII forms of characters, as far as a compatibility decomposition does not give them."""
_LINE_DRAWING = range(0x2500, 0x2580)


def encodable(text: str, encoding: str) -> str:
    """Return a text in characters of an encoding: others become ASCII characters, such as `+-` for `±`.

    A longer form takes the place of blanks before it, if there are several, so columns remain aligned.
    """
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_encodable_line(line, encoding) for line in text.splitlines(keepends=True))
    return text


def _encodable_line(line: str, encoding: str) -> str:
    written = ""
    for character in line:
        form = _form(character, encoding)
        for _ in form[1:]:
            gap = written.rfind("  ")
            if gap > 0 and written[gap - 1] == " ":
                written = written[:gap] + written[gap + 1 :]
        written += form
    return written


def _form(character: str, encoding: str) -> str:
    """Return a character if the encoding has it, else its ASCII form, or a question mark."""
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        if ord(character) in _LINE_DRAWING:
            return _PLAIN.get(character, "+")
        return (
            _PLAIN.get(character) or unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or "?"
        )
    return character
