"""Tuning: what is tried next, how the search stands, and which trials confirm what it found."""

from .confirmation import search_plan
from .outcome import Outcome, is_over, outcomes, settings
from .studies import Studies
from .tuning import Tuning

__all__ = ["Outcome", "Studies", "Tuning", "is_over", "outcomes", "search_plan", "settings"]
