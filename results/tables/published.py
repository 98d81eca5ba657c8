"""Ours beside what papers and repositories report; the two are never mixed."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files

import pandas as pd

from ...specs import SpecError
from ..captions import names, notes, plain, remarks, row_label, title
from ..frame import PARAMETER_PREFIX
from ..labels import Column, RowLabel
from ..rendered_table import Heading, RenderedTable, TableEntry, one_line
from ..table import Cell, Table, comparison, labelled


def reported() -> pd.DataFrame:
    """Read the reported figures: `dataset`, `architecture`, `method`, `teacher`, `top1`, `std`, `source` and `note`.

    `top1` and `std` are in %. Texts are empty where nothing is said, and `std` is missing.
    """
    with (files(__name__.rpartition(".tables.")[0]) / "published.csv").open(encoding="utf-8") as file:
        figures = pd.read_csv(file, dtype={"std": "float64"})
    texts = ["dataset", "architecture", "method", "teacher", "source", "note"]
    return figures.assign(**{name: figures[name].fillna("").astype("str") for name in texts})


def published(frame: pd.DataFrame) -> RenderedTable:
    """Set our top-1 accuracies beside the reported ones of the same data sets and architectures.

    Raises `SpecError` where nothing is reported of these, or the sweep has no top-1 accuracy to compare.
    """
    table = comparison(frame, "test/final/top1")
    places = {(row.dataset, row.architecture) for row in table.rows}
    figures = reported()
    is_ours = [place in places for place in zip(figures["dataset"], figures["architecture"], strict=True)]
    figures = figures.loc[is_ours]
    if figures.empty:
        ours = ", ".join(sorted(f"{architecture} on {dataset}" for dataset, architecture in places))
        raise SpecError(f"nothing is reported of what this sweep trains: {ours}.")
    sources = list(dict.fromkeys(zip(figures["source"], figures["note"], strict=True)))
    lines = [line for row in table.rows for line in _lines(table, row, figures, _teachers(frame))]
    return RenderedTable(
        sweep=table.sweep,
        subject="published",
        title=f"{title(table)}, ours beside reported figures",
        remarks=(
            *remarks(table),
            "Ours are from one codebase and one recipe; reported figures are from the sources below, each with a "
            "recipe, data handling and choice of epoch of its own: a difference between the two is no gain of a method",
        ),
        headings=tuple(
            Heading(lines=(name,), align="right" if name == "ours" else "left")
            for name in ("architecture", "method", "teacher", "ours", "reported")
        ),
        rows=tuple(
            (
                TableEntry(text=row_label(table, row)),
                TableEntry(text=one_line(method)),
                TableEntry(text=one_line(teacher)),
                plain(replace(cell, best=False, second=False), table.metric) if cell else TableEntry(text="–"),
                TableEntry(text=_listed(found, sources)),
            )
            for row, method, teacher, cell, found in lines
        ),
        notes=(
            *notes(table),
            *(
                one_line(f"[{number}] {source}{f': {note}' if note else ''}.")
                for number, (source, note) in enumerate(sources, start=1)
            ),
        ),
        records=tuple(record for line in lines for record in _records(*line)),
    )


_Line = tuple[RowLabel, str, str, Cell | None, pd.DataFrame]


def _lines(
    table: Table, row: RowLabel, figures: pd.DataFrame, teachers: dict[tuple[RowLabel, Column], str]
) -> list[_Line]:
    """What stands beside each other on one row: first the methods that we trained, then those that we did not."""
    of_row = figures.loc[(figures["dataset"] == row.dataset) & (figures["architecture"] == row.architecture)]
    lines: list[_Line] = []
    trained: set[tuple[str, str]] = set()
    for column, cell in zip(table.columns, table.cells[table.rows.index(row)], strict=True):
        if cell.planned is None:
            continue
        teacher = teachers.get((row, column), "")
        trained.add((column.method, teacher))
        lines.append((row, column.label, teacher, cell, _figures(of_row, column.method, teacher)))
    others = dict.fromkeys(zip(of_row["method"], of_row["teacher"], strict=True))
    return lines + [
        (row, method, teacher, None, _figures(of_row, method, teacher))
        for method, teacher in others
        if (method, teacher) not in trained
    ]


def _teachers(frame: pd.DataFrame) -> dict[tuple[RowLabel, Column], str]:
    """The architecture of the teacher, where a method has one."""
    runs, _ = labelled(frame)
    architecture = f"{PARAMETER_PREFIX}teacher.architecture"
    if architecture not in runs:
        return {}
    runs = runs.loc[runs[architecture].notna()]
    return dict(zip(zip(runs["row"], runs["column"], strict=True), runs[architecture], strict=True))


def _figures(figures: pd.DataFrame, method: str, teacher: str) -> pd.DataFrame:
    return figures.loc[(figures["method"] == method) & (figures["teacher"] == teacher)]


def _listed(figures: pd.DataFrame, sources: Sequence[tuple[str, str]]) -> str:
    """Write `75.61 [1], 76.24 (0.10) [3]`, with the deviation where it is reported, or a – without any."""
    written = [
        f"{top1:.2f}{'' if pd.isna(std) else f' ({std:.2f})'} [{sources.index((source, note)) + 1}]"
        for top1, std, source, note in zip(
            figures["top1"], figures["std"], figures["source"], figures["note"], strict=True
        )
    ]
    return ", ".join(written) or "–"


def _records(
    row: RowLabel, method: str, teacher: str, cell: Cell | None, figures: pd.DataFrame
) -> list[dict[str, str | float | int | None]]:
    """A record for each reported figure, with ours in columns of its own, or one with ours alone."""
    ours = {
        **names(row, method),
        "teacher": teacher,
        "our_mean": cell.mean if cell else None,
        "our_std": cell.std if cell else None,
        "our_n": cell.n if cell else None,
        "our_planned": cell.planned if cell else None,
        "our_note": cell.note if cell else "not trained by this sweep",
    }
    nothing = {"reported_top1": None, "reported_std": None, "source": "", "source_note": ""}
    return [
        ours
        | {
            "reported_top1": float(figure["top1"]),
            "reported_std": None if pd.isna(figure["std"]) else float(figure["std"]),
            "source": figure["source"],
            "source_note": figure["note"],
        }
        for figure in figures.to_dict("records")
    ] or [ours | nothing]
