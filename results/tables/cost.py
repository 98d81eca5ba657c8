"""Cost tables: parameters, multiply-adds (MACs), time and memory of each method."""

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
    """Divisor of the shown metric."""
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
    """Return a table of the cost of a trial of each method, mean over seeds.

    Raises:
        SpecError: If no cost is recorded yet.
    """
    frame = frame.assign(**{_HOURS: _hours(frame)})
    measured = metric_names(frame)
    tables = {
        quantity: comparison(frame, quantity.metric)
        for quantity in _QUANTITIES
        if quantity.metric in measured and bool(frame[quantity.metric].notna().any())
    }
    if not tables:
        raise SpecError("no trial of this sweep has recorded its cost yet; wait until a trial completes.")
    cells = {quantity: [cell for _, _, cell in places(table)] for quantity, table in tables.items()}
    first = next(iter(tables.values()))
    return RenderedTable(
        sweep=first.sweep,
        subject="cost",
        title=title(first, "cost of a trial of each method"),
        remarks=(
            *(text.replace("Mean ± sample standard deviation", "Mean") for text in remarks(first)),
            *gaps(first.cells),
            "Deployed: the network with its final exit only; multiply-adds (MACs) are those of the deployed network",
            "Seconds and memory: last epoch",
            "Device-hours: training time of all epochs times devices; a shared device counts fully for each trial",
        ),
        headings=(
            *PLACE_HEADINGS,
            *(Heading(lines=quantity.heading) for quantity in tables),
        ),
        stubs=2,
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
    """Return the device-hours of the whole training."""
    devices = frame[_DEVICES].astype("float64").to_numpy() if _DEVICES in frame else 1
    return pd.Series(frame["training_seconds"].to_numpy() * devices / 3600, index=frame.index)


def _entry(cell: Cell, quantity: _Quantity) -> TableEntry:
    if cell.planned is None:
        return TableEntry(text=cell.outcome)
    return number(cell, None if cell.mean is None else cell.mean / quantity.per, quantity.digits)
