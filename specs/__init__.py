"""Base classes of all specs: checked fields, registries of names, canonical JSON and content keys.

Only the standard library is imported, so that losses, models and training need no further packages.
"""

from .errors import SpecError, nearest, require, unknown
from .identity import configuration_id, trial_key, with_images
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
from .text import is_printable, one_line, printable_lines, shortened
from .uri import has_secret, masked, require_printable, require_uri, sqlite_file, sqlite_uri

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
    "has_secret",
    "is_printable",
    "masked",
    "nearest",
    "one_line",
    "printable_lines",
    "require",
    "require_printable",
    "require_uri",
    "short_hash",
    "shortened",
    "sqlite_file",
    "sqlite_uri",
    "trial_key",
    "unknown",
    "with_images",
]
