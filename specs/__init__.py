"""Base classes of all specs: checked fields, registries of names, canonical JSON and content keys.

Only the standard library is imported, so that losses, models and training need no further packages.
"""

from .errors import SpecError, nearest, require, unknown
from .identity import configuration_id, trial_key
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
    "configuration_id",
    "content_key",
    "nearest",
    "require",
    "short_hash",
    "trial_key",
    "unknown",
]
