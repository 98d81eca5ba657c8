"""What every component's spec is written in: checked fields, names with nearest matches, canonical form, key.

Standard library only, so that losses, models and training stay free of everything else.
"""

from .errors import SpecError, nearest, require, unknown
from .registry import Registry
from .spec import (
    Count,
    FieldInfo,
    Fraction,
    NonNegative,
    Positive,
    Range,
    Spec,
    canonical_json,
    content_key,
    short_hash,
)

__all__ = [
    "Count",
    "FieldInfo",
    "Fraction",
    "NonNegative",
    "Positive",
    "Range",
    "Registry",
    "Spec",
    "SpecError",
    "canonical_json",
    "content_key",
    "nearest",
    "require",
    "short_hash",
    "unknown",
]
