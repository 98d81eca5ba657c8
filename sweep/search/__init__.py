"""Hyperparameter search: suggestions of settings, state of the studies, and the trials that confirm the best."""

from .ask_tell import Tuning
from .confirmation import search_plan
from .studies import Studies, StudyReader
from .study_summary import Outcome, StudySummary, is_over, outcomes, repeats_of, settings, summaries

__all__ = [
    "Outcome",
    "Studies",
    "StudyReader",
    "StudySummary",
    "Tuning",
    "is_over",
    "outcomes",
    "repeats_of",
    "search_plan",
    "settings",
    "summaries",
]
