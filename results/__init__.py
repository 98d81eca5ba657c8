"""Recorded trials in, comparisons out: MLflow -> pandas -> tables. Only reads."""

from .frame import load
from .labels import Column, Row
from .metrics import Metric, describe
from .render import FORMATS, render, to_rich
from .table import Cell, Table, comparison
from .tuning import Search

__all__ = [
    "FORMATS",
    "Cell",
    "Column",
    "Metric",
    "Row",
    "Search",
    "Table",
    "comparison",
    "describe",
    "load",
    "render",
    "to_rich",
]
