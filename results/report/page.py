"""Assembly of the page from summary, tables, figures and trials of a sweep."""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files

import pandas as pd
from jinja2 import Environment, StrictUndefined

from ...specs import SpecError
from ...store import Margins
from ..figures import draw
from ..rendered_table import one_line
from ..significance import significance
from ..table import Table, comparison
from .best import best_settings, caution
from .environment import environment
from .summary import summary
from .tables import grids
from .trials import behind, reported, trials

_COLUMN = 300.0
"""Approximate width of one column of a two-column paper, in points."""
_ENLARGED = 1.4
"""Scale of figures on the page, relative to print."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Origin of the numbers of a page, as far as MLflow does not record it."""

    storage: str
    """Storage as given on the command line."""
    file: str = ""
    """Full text of the sweep file."""
    planned: int | None = None
    """Number of planned trials; None if unknown."""
    commands: tuple[str, ...] = ()
    """Commands that run the sweep and rebuild this page, in order."""
    tracking: str = ""
    """Tracking URI without password."""
    experiment: str = ""
    """Address of the sweep on the MLflow server; empty without a server."""
    margins: Margins = field(default_factory=Margins)
    """Differences that matter, named in the sweep file."""
    costs: tuple[str, ...] = ()
    """Sentences about the caps on the cost, and the price."""


@dataclass(frozen=True, kw_only=True)
class _Picture:
    """Figure of the page."""

    id: str
    name: str
    """Short name for lists."""
    title: str
    caption: str
    """First sentence of the caption."""
    details: str
    """Other sentences of the caption."""
    svg: str

    @property
    def width(self) -> int:
        """Width in pixels, which makes letters about as large as the surrounding text."""
        return round(self._points * 96 / 72 * _ENLARGED)

    @property
    def size(self) -> str:
        """CSS class; a `two-columns` figure is not shrunk to the width of a phone."""
        return "two-columns" if self._points > _COLUMN else "one-column"

    @property
    def _points(self) -> float:
        """Width for print, in points."""
        found = re.match(r'[^>]*?\bwidth="([\d.]+)pt"', self.svg)
        return float(found[1]) if found else _COLUMN

    @cached_property
    def source(self) -> str:
        """Drawing as a data URI; an image runs no script and isolates its styles and ids."""
        return f"data:image/svg+xml;base64,{base64.b64encode(self.svg.encode()).decode()}"


def report(
    frame: pd.DataFrame, history: pd.DataFrame, origin: Origin, announce: Callable[[str], object] = lambda _: None
) -> str:
    """Return the HTML page of one sweep: summary, tables, figures, trials, and commands to reproduce it.

    The order of rows in the frames has no effect.

    Args:
        frame: a sweep loaded by `load`.
        history: its metrics by epoch, loaded by `history`.
        origin: data that MLflow does not record.
        announce: is called with a line about each step before it begins.

    Raises:
        SpecError: A `ValueError`, if no trial is recorded.
    """
    if frame.empty:
        raise SpecError("there is nothing to report: no trial of this sweep is recorded yet; run the sweep.")
    announce("Building tables")
    frame = frame.sort_values(["order", "key"]).reset_index(drop=True)
    found = trials(frame, origin.experiment)
    table = _comparison(frame)
    made, absent = grids(frame, lambda: history, table, behind(frame, found) if table else {}, origin.margins)
    pictures, undrawn = _pictures(frame, history, announce)
    tests = significance(table, origin.margins) if table else None
    best = best_settings(table, tests) if table and tests else ()
    failures = next((grid for grid in made if grid.kind == "failures"), None)
    script, style = _part("report.js"), _part("report.css")
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return page.from_string(_part("report.html")).render(
        sweep=one_line(frame["sweep"].iloc[0]),
        summary=summary(frame, origin.planned, table, tests, origin.costs),
        best=best,
        caution=caution(table, best) if table else "",
        baseline=one_line(table.baseline.label) if table and table.baseline else "",
        difference_unit=table.metric.difference_unit if table else "",
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
    except SpecError:  # the page lists the reason with the missing main table
        return None


def _pictures(
    frame: pd.DataFrame, history: pd.DataFrame, announce: Callable[[str], object]
) -> tuple[list[_Picture], str]:
    """Return the figures, and the reason if there are none."""
    try:
        drawn = draw(frame, history, announce)
    except SpecError as error:
        return [], one_line(str(error))
    return [
        _Picture(
            id=f"figure-{index}",
            name=figure.name.replace("-", " "),
            title=one_line(figure.title),
            caption=one_line(figure.sentences[0]),
            details=one_line(" ".join(figure.sentences[1:])),
            svg=figure.svg(),
        )
        for index, figure in enumerate(drawn)
    ], ""


def _policy(script: str, style: str) -> str:
    """Return the content security policy: embedded images, and the script and style of the page, nothing else."""
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
    """Return a text of several lines without control characters."""
    return "\n".join("".join(letter if letter.isprintable() else " " for letter in line) for line in text.splitlines())
