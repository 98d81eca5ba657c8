"""What every component's spec is written in: checked fields, names with nearest matches, canonical form, key.

Standard library only, so that losses, models and training stay free of everything else.
"""

from .errors import SpecError, nearest, require, unknown
from .registry import Registry
from .spec import Count, Fraction, NonNegative, Positive, Range, Setting, Spec, canonical_json, content_key, key_of

__all__ = [
    "Count",
    "Fraction",
    "NonNegative",
    "Positive",
    "Range",
    "Registry",
    "Setting",
    "Spec",
    "SpecError",
    "canonical_json",
    "content_key",
    "key_of",
    "nearest",
    "require",
    "unknown",
]
