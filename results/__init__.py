"""Recorded trials in, comparisons out: MLflow -> pandas -> tables. Only reads."""

from .frame import load
from .labels import Column, Row
from .metrics import Metric, describe
from .render import FORMATS, render, to_rich
from .table import Cell, Table, comparison

__all__ = [
    "FORMATS",
    "Cell",
    "Column",
    "Metric",
    "Row",
    "Table",
    "comparison",
    "describe",
    "load",
    "render",
    "to_rich",
]
