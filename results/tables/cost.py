"""What each method costs: parameters, multiply-adds, time and memory."""

from dataclasses import dataclass

import pandas as pd

from ...specs import SpecError
from ..captions import PLACE_HEADINGS, gaps, notes, number, place, places, record, remarks, title
from ..frame import ENVIRONMENT_PREFIX, metric_names
from ..rendered_table import Heading, RenderedTable, TableEntry
from ..table import Cell, comparison

_DEVICES = f"{ENVIRONMENT_PREFIX}processes"
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


def cost(frame: pd.DataFrame) -> RenderedTable:
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
    return RenderedTable(
        sweep=first.sweep,
        subject="cost",
        title=title(first, "what a trial of each method costs"),
        remarks=(
            *(text.replace("Cells: mean ± sample standard deviation", "Cells: mean") for text in remarks(first)),
            *gaps(first.cells),
            "Deployed: the network up to its final exit, without the other exits; multiply-adds are of that",
            "Seconds and memory are those of the last epoch",
            "Device-hours: of all epochs, on all devices that trained together; trials that share one count it whole",
        ),
        headings=(
            *PLACE_HEADINGS,
            *(Heading(lines=quantity.heading) for quantity in tables),
        ),
        rows=tuple(
            (
                *place(first, row, column),
                *(_entry(cells[quantity][index], quantity) for quantity in tables),
            )
            for index, (row, column, _) in enumerate(places(first))
        ),
        notes=tuple(notes(first)),
        records=tuple(record(table, *place) for table in tables.values() for place in places(table)),
    )


def _hours(frame: pd.DataFrame) -> pd.Series:
    """Of the whole training, on all its devices."""
    devices = frame[_DEVICES].astype("float64").to_numpy() if _DEVICES in frame else 1
    return pd.Series(frame["training_seconds"].to_numpy() * devices / 3600, index=frame.index)


def _entry(cell: Cell, quantity: _Quantity) -> TableEntry:
    if cell.planned is None:
        return TableEntry(text=cell.outcome)
    return number(cell, None if cell.mean is None else cell.mean / quantity.per, quantity.digits)
