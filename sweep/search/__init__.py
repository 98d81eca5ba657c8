"""Hyperparameter search: suggestions of settings, state of the studies, and the trials that confirm the best."""

from .ask_tell import Tuning
from .confirmation import search_plan
from .studies import Studies
from .study_summary import Outcome, is_over, outcomes, settings

__all__ = ["Outcome", "Studies", "Tuning", "is_over", "outcomes", "search_plan", "settings"]
