"""Durations as text: `90s`, `1.5h`, `2 h 5 min`."""

import re

from ...specs import SpecError

UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def duration(seconds: float) -> str:
    """Return seconds as text: `45 s`, `3 min 20 s` or `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def seconds_of(text: str) -> float:
    """Return the seconds of a text such as `90s`, `30min`, `1.5h` or `1d`. Raises `SpecError` for any other text."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(s|min|h|d)", text.strip())
    if match is None or not float(match[1]):
        rule = f"a time is a number above 0 and a unit ({', '.join(UNITS)}), such as 90s or 4h"
        raise SpecError(f"{rule}, but got {text!r}.")
    return float(match[1]) * UNITS[match[2]]
