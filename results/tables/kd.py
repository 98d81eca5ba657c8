"""Distillation tables: methods with a trained teacher beside methods without one."""

from collections.abc import Iterable, Mapping

import pandas as pd

from ...specs import SpecError
from ..captions import entry, gaps, heading, names, notes, places, remarks, row_label, signs, title
from ..frame import PARAMETER_PREFIX
from ..labels import Column, RowLabel
from ..metrics import Metric
from ..rendered_table import Heading, RenderedTable, TableEntry
from ..table import NOT_RUN, Cell, comparison, labelled, ranked

_KEY = f"{PARAMETER_PREFIX}teacher.key"
_ARCHITECTURE = f"{PARAMETER_PREFIX}teacher.architecture"
_WITHOUT_TEACHER = ("baseline", "eed")
"""Methods without a teacher that are listed for comparison."""


def kd(frame: pd.DataFrame) -> RenderedTable:
    """Return a comparison of methods with a teacher, the teacher, the baseline and EED, by student and teacher.

    Raises:
        SpecError: If no method has a teacher, or there is nothing to compare.
    """
    table = comparison(frame)
    runs, metric = labelled(frame)
    if _KEY not in runs or runs[_KEY].dropna().empty:
        raise SpecError("no method of this sweep has a teacher.")
    students = runs.loc[runs[_KEY].notna()]
    pairs = dict(zip(zip(students["row"], students[_KEY], strict=True), students[_ARCHITECTURE], strict=True))
    alone = [column for column in table.columns if column.method in _WITHOUT_TEACHER]
    with_teacher = dict.fromkeys(_without_teacher(column) for column in students["column"])
    columns = [*alone[:1], *with_teacher, *alone[1:]]
    cells = {(row, column): cell for row, column, cell in places(table)}
    taught = {
        (row, key, _without_teacher(column)): cells[row, column]
        for row, key, column in zip(students["row"], students[_KEY], students["column"], strict=True)
    }

    def cell_of(row: RowLabel, key: str, column: Column) -> Cell:
        """Return the cell of a student with this teacher; methods without a teacher repeat their cell."""
        return cells[row, column] if column in alone else taught.get((row, key, column), NOT_RUN)

    grid = {(row, key): ranked([cell_of(row, key, column) for column in columns], metric) for row, key in pairs}
    teachers = {key: _teacher(frame, key, metric) for _, key in pairs}
    return RenderedTable(
        sweep=table.sweep,
        subject="kd",
        title=title(table),
        remarks=(
            *remarks(table),
            *signs(table),
            *gaps(grid.values()),
            "Teachers: one trial each, no standard deviation",
        ),
        ranked="mean of each row" if metric.best else "",
        headings=(
            Heading(lines=("student",), align="left"),
            Heading(lines=("teacher",), align="left"),
            Heading(lines=("teacher", "accuracy")),
            *map(heading, columns),
        ),
        stubs=2,
        rows=tuple(
            (
                TableEntry(text=row_label(table, row)),
                TableEntry(text=_named(row, key, pairs)),
                TableEntry(text=_written(teachers[key], metric)),
                *(entry(cell, metric) for cell in of_pair),
            )
            for (row, key), of_pair in grid.items()
        ),
        notes=tuple(notes(table)),
        records=tuple(_records(grid, pairs, columns, teachers, metric)),
    )


def _named(row: RowLabel, key: str, pairs: Mapping[tuple[RowLabel, str], str]) -> str:
    """Return the label of a teacher: its architecture, and its key if the student has several of this architecture."""
    architecture = pairs[row, key]
    same = [other for (student, _), other in pairs.items() if (student, other) == (row, architecture)]
    return f"{architecture} {key}" if len(same) > 1 else architecture


def _without_teacher(column: Column) -> Column:
    of_teacher = ("teacher=", "teacher_seed=", "teacher_key=")
    settings = tuple(text for text in column.settings if not text.startswith(of_teacher))
    return Column(method=column.method, settings=settings)


def _teacher(frame: pd.DataFrame, key: str, metric: Metric) -> float | str:
    """Return the teacher's value of the metric; without a value, its outcome."""
    trials = frame.loc[frame["key"] == key]
    if trials.empty:
        return "from a file"
    value, state = trials.iloc[0].get(metric.name), trials["state"].iloc[0]
    return float(value) if state == "done" and pd.notna(value) else "not measured" if state == "done" else state


def _written(value: float | str, metric: Metric) -> str:
    return value if isinstance(value, str) else f"{value:.{metric.digits}f}"


def _records(
    grid: Mapping[tuple[RowLabel, str], list[Cell]],
    pairs: Mapping[tuple[RowLabel, str], str],
    columns: list[Column],
    teachers: Mapping[str, float | str],
    metric: Metric,
) -> Iterable[dict[str, str | float | int | None]]:
    for (row, key), cells in grid.items():
        value = teachers[key]
        for column, cell in zip(columns, cells, strict=True):
            yield {
                **names(row, column.label),
                "teacher": pairs[row, key],
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
