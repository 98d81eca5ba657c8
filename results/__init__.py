"""Comparison tables of recorded trials: MLflow -> pandas -> tables. Read-only.

Figures and reports are in the subpackages `figures` and `report`, because a sweep does not need their libraries.
"""

from typing import TYPE_CHECKING

from ..specs.lazy import lazy_exports

if TYPE_CHECKING:
    from .details import early_exit_points, reliability
    from .frame import joined, load
    from .history import epochs, history
    from .labels import Column, RowLabel
    from .metrics import Metric, describe
    from .provenance import explain
    from .render import FORMATS, render, to_rich
    from .rendered_table import Heading, RenderedTable, TableEntry
    from .search import SearchBudget
    from .significance import Significance, significance
    from .statistics import PairedTest, Ranking, paired_test, ranking
    from .table import Cell, Table, comparison
    from .tables import KINDS, tabulate
    from .tables.main import main

__all__ = [
    "FORMATS",
    "KINDS",
    "Cell",
    "Column",
    "Heading",
    "Metric",
    "PairedTest",
    "Ranking",
    "RenderedTable",
    "RowLabel",
    "SearchBudget",
    "Significance",
    "Table",
    "TableEntry",
    "comparison",
    "describe",
    "early_exit_points",
    "epochs",
    "explain",
    "history",
    "joined",
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

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Cell": ".table",
        "Column": ".labels",
        "FORMATS": ".render",
        "Heading": ".rendered_table",
        "KINDS": ".tables",
        "Metric": ".metrics",
        "PairedTest": ".statistics",
        "Ranking": ".statistics",
        "RenderedTable": ".rendered_table",
        "RowLabel": ".labels",
        "SearchBudget": ".search",
        "Significance": ".significance",
        "Table": ".table",
        "TableEntry": ".rendered_table",
        "comparison": ".table",
        "describe": ".metrics",
        "early_exit_points": ".details",
        "epochs": ".history",
        "explain": ".provenance",
        "history": ".history",
        "joined": ".frame",
        "load": ".frame",
        "main": ".tables.main",
        "paired_test": ".statistics",
        "ranking": ".statistics",
        "reliability": ".details",
        "render": ".render",
        "significance": ".significance",
        "tabulate": ".tables",
        "to_rich": ".render",
    },
)
