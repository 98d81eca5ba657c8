"""A pre-trained teacher against none: teacher, student, and what distillation makes of the student."""

from collections.abc import Iterable

import pandas as pd

from ...specs import SpecError
from ..frame import PARAMETER_PREFIX
from ..labels import Column, Row
from ..metrics import Metric
from ..sheet import Entry, Heading, Sheet
from ..table import Cell, comparison, labelled, ranked
from ..wording import entry, heading, names, notes, remarks, row_label, signs, title

_KEY = f"{PARAMETER_PREFIX}teacher.key"
_ARCHITECTURE = f"{PARAMETER_PREFIX}teacher.architecture"
_WITHOUT_TEACHER = ("baseline", "eed")
"""What stands beside the methods that have one."""


def kd(frame: pd.DataFrame) -> Sheet:
    """Compare methods that have a teacher with it, with the baseline and with EED; a row for each student and teacher.

    Raises `SpecError` where no method has a teacher, or there is nothing to compare.
    """
    table = comparison(frame)
    runs, metric = labelled(frame)
    if _KEY not in runs or runs[_KEY].dropna().empty:
        raise SpecError("no method of this sweep has a teacher.")
    students = runs.loc[runs[_KEY].notna()]
    pairs = list(dict.fromkeys(zip(students["row"], students[_ARCHITECTURE], students[_KEY], strict=True)))
    found = dict(zip(zip(runs["row"], runs["column"], strict=True), runs[_KEY], strict=True))
    with_teacher = list(dict.fromkeys(_without_teacher(column) for column in students["column"]))
    alone = [column for column in table.columns if column.method in _WITHOUT_TEACHER]
    columns = [*alone[:1], *with_teacher, *alone[1:]]
    cells = {
        (row, column): cell
        for row, of_row in zip(table.rows, table.cells, strict=True)
        for column, cell in zip(table.columns, of_row, strict=True)
    }

    def cell_of(row: Row, column: Column, key: str) -> Cell:
        """The student's with this teacher; a method without one has the same cell beside every teacher."""
        for original in table.columns:
            if original == column or (found.get((row, original)) == key and _without_teacher(original) == column):
                return cells[row, original]
        return Cell(outcome="not run")

    grid = {
        (row, teacher, key): ranked([cell_of(row, column, key) for column in columns], metric)
        for row, teacher, key in pairs
    }
    teachers = {key: _teacher(frame, key, metric) for _, _, key in pairs}
    return Sheet(
        sweep=table.sweep,
        subject="kd",
        title=title(table),
        remarks=(*remarks(table), *signs(table), "Teachers: one trial each, hence no deviation"),
        ranked="mean of each row" if metric.best else "",
        headings=(
            Heading(lines=("student",), align="left"),
            Heading(lines=("teacher",), align="left"),
            Heading(lines=("teacher's",)),
            *map(heading, columns),
        ),
        rows=tuple(
            (
                Entry(text=row_label(table, row)),
                Entry(text=architecture),
                Entry(text=_written(teachers[key], metric)),
                *(entry(cell, metric) for cell in of_pair),
            )
            for (row, architecture, key), of_pair in grid.items()
        ),
        notes=tuple(notes(table)),
        records=tuple(_records(grid, columns, teachers, metric)),
    )


def _without_teacher(column: Column) -> Column:
    settings = tuple(text for text in column.settings if not text.startswith(("teacher=", "teacher_key=")))
    return Column(method=column.method, settings=settings)


def _teacher(frame: pd.DataFrame, key: str, metric: Metric) -> float | str:
    """What the teacher reaches; or what became of it, where it has no number."""
    trials = frame.loc[frame["key"] == key]
    if trials.empty:
        return "from a file"
    value, state = trials.iloc[0].get(metric.name), trials["state"].iloc[0]
    return float(value) if state == "done" and pd.notna(value) else "not measured" if state == "done" else state


def _written(value: float | str, metric: Metric) -> str:
    return value if isinstance(value, str) else f"{value:.{metric.digits}f}"


def _records(
    grid: dict[tuple[Row, str, str], list[Cell]],
    columns: list[Column],
    teachers: dict[str, float | str],
    metric: Metric,
) -> Iterable[dict[str, str | float | int | None]]:
    for (row, architecture, key), cells in grid.items():
        value = teachers[key]
        for column, cell in zip(columns, cells, strict=True):
            yield {
                **names(row, column.label),
                "teacher": architecture,
                "teacher_key": key,
                "teacher_value": None if isinstance(value, str) else value,
                "teacher_note": value if isinstance(value, str) else "",
                "metric": metric.name,
                "mean": cell.mean,
                "std": cell.std,
                "n": cell.n,
                "planned": cell.planned,
                "difference": cell.difference,
                "note": cell.note,
            }
