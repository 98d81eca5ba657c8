"""Recorded trials in, comparisons out: MLflow -> pandas -> tables. Only reads.

Figures and reports are apart, in `figures` and `report`, since a sweep does without what draws them.
"""

from .details import early_exit_points, reliability
from .frame import load
from .history import epochs, history
from .kinds import KINDS, tabulate
from .kinds.main import main
from .labels import Column, Row
from .metrics import Metric, describe
from .provenance import explain
from .render import FORMATS, render, to_rich
from .sheet import Entry, Heading, Sheet
from .significance import Significance, significance
from .statistics import PairedTest, Ranking, paired_test, ranking
from .table import Cell, Table, comparison
from .tuning import Search

__all__ = [
    "FORMATS",
    "KINDS",
    "Cell",
    "Column",
    "Entry",
    "Heading",
    "Metric",
    "PairedTest",
    "Ranking",
    "Row",
    "Search",
    "Sheet",
    "Significance",
    "Table",
    "comparison",
    "describe",
    "early_exit_points",
    "epochs",
    "explain",
    "history",
    "load",
    "main",
    "paired_test",
    "ranking",
    "reliability",
    "render",
    "significance",
    "tabulate",
    "to_rich",
]
