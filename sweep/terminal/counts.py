"""Numbers that agree with their nouns."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 trial`, `1,200 trials`. The plural adds an s unless it is given."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
