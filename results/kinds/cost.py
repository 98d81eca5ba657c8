"""What each method costs: parameters, multiply-adds, time and memory."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...specs import SpecError
from ..frame import PARAMETER_PREFIX, metric_names
from ..sheet import Entry, Heading, Sheet, one_line
from ..table import Cell, comparison
from ..wording import notes, places, record, remarks, row_label

_EPOCHS = f"{PARAMETER_PREFIX}recipe.epochs"
_HOURS = "hours"


@dataclass(frozen=True, kw_only=True)
class _Quantity:
    metric: str
    heading: tuple[str, ...]
    per: float = 1.0
    """Shown is the metric over this."""
    digits: int = 2


_QUANTITIES = (
    _Quantity(metric="cost/parameters", heading=("parameters", "trained, M"), per=1e6),
    _Quantity(metric="cost/final/parameters", heading=("parameters", "deployed, M"), per=1e6),
    _Quantity(metric="cost/final/multiply_adds", heading=("multiply-adds", "per image, M"), per=1e6, digits=1),
    _Quantity(metric="seconds", heading=("seconds", "per epoch")),
    _Quantity(metric=_HOURS, heading=("device-", "hours"), digits=3),
    _Quantity(metric="peak_memory_bytes", heading=("memory,", "GiB"), per=2**30),
)


def cost(frame: pd.DataFrame) -> Sheet:
    """Say what the trials of each method took, mean over seeds. Raises `SpecError` where nothing of it is recorded."""
    frame = frame.assign(**{_HOURS: _hours(frame)})
    measured = metric_names(frame)
    tables = {
        quantity: comparison(frame, quantity.metric)
        for quantity in _QUANTITIES
        if quantity.metric in measured and bool(frame[quantity.metric].notna().any())
    }
    if not tables:
        raise SpecError("no trial of this sweep has recorded what it cost.")
    cells = {quantity: [cell for _, _, cell in places(table)] for quantity, table in tables.items()}
    first = next(iter(tables.values()))
    return Sheet(
        sweep=first.sweep,
        subject="cost",
        title=one_line(f"{first.sweep}: what a trial of each method costs"),
        remarks=(
            *(text.replace("Cells: mean ± sample standard deviation", "Cells: mean") for text in remarks(first)),
            "Deployed: the network up to its final exit, without the other exits; multiply-adds are of that",
            "Seconds and memory are those of the last epoch",
            "Device-hours: these seconds times the epochs of the recipe, as if the trial had one device for itself",
        ),
        headings=(
            Heading(lines=("architecture",), align="left"),
            Heading(lines=("method",), align="left"),
            *(Heading(lines=quantity.heading) for quantity in tables),
        ),
        rows=tuple(
            (
                Entry(text=row_label(first, row)),
                Entry(text=one_line(column.label)),
                *(_entry(cells[quantity][index], quantity) for quantity in tables),
            )
            for index, (row, column, _) in enumerate(places(first))
        ),
        notes=tuple(notes(first)),
        records=tuple(record(table, *place) for table in tables.values() for place in places(table)),
    )


def _hours(frame: pd.DataFrame) -> pd.Series:
    """Of the whole training, from its last epoch; missing where that or the number of epochs is not recorded."""
    if "seconds" not in frame or _EPOCHS not in frame:
        return pd.Series(np.nan, index=frame.index)
    seconds, epochs = frame["seconds"].to_numpy("float64"), frame[_EPOCHS].astype("float64").to_numpy()
    return pd.Series(seconds * epochs / 3600, index=frame.index)


def _entry(cell: Cell, quantity: _Quantity) -> Entry:
    text = "–" if cell.mean is None else f"{cell.mean / quantity.per:.{quantity.digits}f}"
    if cell.planned is None:
        return Entry(text=cell.outcome)
    return Entry(text=text, details=() if cell.complete else (f"{cell.n} of {cell.planned}",))
