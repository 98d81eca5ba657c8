"""Trials of the page, with their settings and MLflow runs."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ...specs import SpecError
from ..labels import Column, RowLabel, with_labels
from ..metrics import Metric, describe
from ..rendered_table import one_line
from ..table import labelled
from .links import run_url

_REPORTED, _HELD_OUT = "test/final/top1", "validation/final/top1"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Trial of the page."""

    key: str
    anchor: str
    """HTML id of its row."""
    dataset: str
    architecture: str
    method: str
    settings: str
    seed: int
    role: str
    state: str
    reason: str
    """Reason of a failure, a divergence or an early stop."""
    text: str
    """Reported value, or –."""
    number: str
    """Reported value in full precision, for sorting; empty without a value."""
    run_id: str
    run_url: str
    """Address of the MLflow run; empty without a server."""


def trials(frame: pd.DataFrame, experiment: str) -> tuple[Trial, ...]:
    """Return all recorded trials of one loaded sweep in plan order."""
    if frame.empty:
        return ()
    ordered = with_labels(frame.sort_values(["order", "key"]).reset_index(drop=True))
    metric = reported(frame)
    return tuple(_trial(record, index, metric, experiment) for index, record in enumerate(ordered.to_dict("records")))


def reported(frame: pd.DataFrame) -> Metric:
    """Return the metric that the sweep's tables compare."""
    try:
        return labelled(frame)[1]
    except SpecError:  # there is nothing to compare yet
        return describe(_REPORTED if _REPORTED in frame else _HELD_OUT)


def behind(frame: pd.DataFrame, found: Iterable[Trial]) -> dict[tuple[RowLabel, Column], tuple[Trial, ...]]:
    """Return the trials of each cell of the comparison in plan order.

    Raises:
        SpecError: As in `comparison`.
    """
    runs, _ = labelled(frame)
    by_key = {trial.key: trial for trial in found}
    cells: dict[tuple[RowLabel, Column], tuple[Trial, ...]] = {}
    for row, column, key in zip(runs["row"], runs["column"], runs["key"], strict=True):
        cells[row, column] = (*cells.get((row, column), ()), by_key[key])
    return cells


def _trial(record: dict[str, Any], index: int, metric: Metric, experiment: str) -> Trial:
    row, column = record["row"], record["column"]
    text, number = _value(record, metric)
    key, run_id, error = str(record["key"]), str(record["run_id"]), record["error"]
    return Trial(
        key=one_line(key),
        anchor=f"trial-{key}" if re.fullmatch("[0-9a-f]{16}", key) else f"trial-{index}",
        dataset=one_line(row.dataset),
        architecture=one_line(row.architecture),
        method=one_line(column.method),
        settings=one_line(", ".join([*row.settings, *column.settings])),
        seed=int(str(record["seed"])),
        role=one_line(str(record["role"])),
        state=one_line(str(record["state"])),
        reason=one_line(error) if isinstance(error, str) else "",
        text=text,
        number=number,
        run_id=one_line(run_id),
        run_url=run_url(experiment, run_id),
    )


def _value(record: dict[str, object], metric: Metric) -> tuple[str, str]:
    """Return the compared value of a trial, or the validation accuracy of a search trial, as text and number."""
    if record["state"] == "done":
        for name in (metric.name, _HELD_OUT):
            value = record.get(name)
            if isinstance(value, float) and math.isfinite(value):
                images = "" if name == metric.name else " on validation"
                return f"{value:.{metric.digits}f}{images}", repr(value)
    return "–", ""
