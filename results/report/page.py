"""The page, put together from what the other modules make of a sweep."""

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

import pandas as pd
from jinja2 import Environment, StrictUndefined

from ...specs import SpecError
from ..figures import draw
from ..rendered_table import one_line
from ..significance import significance
from ..table import Table, comparison
from .environment import environment
from .summary import summary
from .tables import grids
from .trials import behind, reported, trials

_COLUMN = 300.0
"""About how many points one of a paper's two columns is wide."""
_ENLARGED = 1.4
"""On a page, beside print."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a page says of where its numbers come from, and MLflow does not hold."""

    storage: str
    """As it is said at the command line."""
    file: str = ""
    """The sweep file, in full."""
    planned: int | None = None
    """How many trials the sweep has; None where that is not known."""
    commands: tuple[str, ...] = ()
    """What made the sweep and makes this page again, in order."""
    tracking: str = ""
    """Where MLflow is, without a password."""
    experiment: str = ""
    """The address of the sweep at MLflow's server; empty where there is none."""


@dataclass(frozen=True, kw_only=True)
class _Picture:
    """A figure of the page."""

    id: str
    title: str
    caption: str
    svg: str

    @property
    def width(self) -> int:
        """In pixels, so that letters are about as large as those around the figure."""
        return round(self._points * 96 / 72 * _ENLARGED)

    @property
    def size(self) -> str:
        """`two-columns` for one that is not to be shrunk to the width of a telephone."""
        return "two-columns" if self._points > _COLUMN else "one-column"

    @property
    def _points(self) -> float:
        """The width for print."""
        found = re.match(r'[^>]*?\bwidth="([\d.]+)pt"', self.svg)
        return float(found[1]) if found else _COLUMN

    @cached_property
    def source(self) -> str:
        """The drawing as an address. As an image it runs nothing, and its styles and ids are its own."""
        return f"data:image/svg+xml;base64,{base64.b64encode(self.svg.encode()).decode()}"


def report(frame: pd.DataFrame, history: pd.DataFrame, origin: Origin) -> str:
    """Write one sweep as one file of HTML: summary, tables, figures, trials, and how to make it again.

    Args:
        frame: as `load` gives it.
        history: as `history` gives it.
        origin: what MLflow does not hold.

    The order of rows in the frames does not matter. Raises `SpecError` (a `ValueError`) where nothing is recorded.
    """
    if frame.empty:
        raise SpecError("there is nothing to report: no trial of this sweep is recorded yet.")
    frame = frame.sort_values(["order", "key"]).reset_index(drop=True)
    found = trials(frame, origin.experiment)
    table = _comparison(frame)
    made, absent = grids(frame, lambda: history, table, behind(frame, found) if table else {})
    pictures, undrawn = _pictures(frame, history)
    failures = next((grid for grid in made if grid.kind == "failures"), None)
    script, style = _part("report.js"), _part("report.css")
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return page.from_string(_part("report.html")).render(
        sweep=one_line(frame["sweep"].iloc[0]),
        summary=summary(frame, origin.planned, table, significance(table) if table else None),
        grids=[grid for grid in made if grid is not failures],
        absent=absent,
        failures=failures,
        pictures=pictures,
        undrawn=undrawn,
        trials=found,
        architectures=_distinct(trial.architecture for trial in found),
        datasets=_distinct(trial.dataset for trial in found),
        metric=reported(frame),
        environment=environment(frame),
        origin=origin,
        file=_printable(origin.file),
        script=script,
        style=style,
        policy=_policy(script, style),
    )


def _comparison(frame: pd.DataFrame) -> Table | None:
    try:
        return comparison(frame)
    except SpecError:  # the main table says why it is not there
        return None


def _pictures(frame: pd.DataFrame, history: pd.DataFrame) -> tuple[list[_Picture], str]:
    """The figures, or why there are none."""
    try:
        drawn = draw(frame, history)
    except SpecError as error:
        return [], one_line(str(error))
    return [
        _Picture(id=f"figure-{index}", title=one_line(figure.title), caption=one_line(figure.caption), svg=figure.svg())
        for index, figure in enumerate(drawn)
    ], ""


def _policy(script: str, style: str) -> str:
    """The page may show images that it holds, and run the script and the style that it came with: nothing else."""
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _part(name: str) -> str:
    return files(__package__ or "").joinpath(name).read_text(encoding="utf-8")


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _printable(text: str) -> str:
    """Text of several lines without control characters."""
    return "\n".join("".join(letter if letter.isprintable() else " " for letter in line) for line in text.splitlines())
