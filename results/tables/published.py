"""Published tables: our results beside those of papers and repositories, never averaged with them."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files

import pandas as pd

from ...specs import SpecError
from ..captions import names, notes, plain, remarks, row_label, title
from ..frame import PARAMETER_PREFIX
from ..labels import Column, RowLabel
from ..rendered_table import Heading, RenderedTable, TableEntry, one_line
from ..table import Cell, Table, comparison, labelled, results

_PARAMETERS = "cost/final/parameters"


def reported() -> pd.DataFrame:
    """Read the published results, one per row.

    Columns: `dataset`, `architecture`, `parameters`, `method`, `teacher`, `top1`, `std`, `source` and `note`.
    `parameters` is the number of parameters of the source's network without auxiliary exits, at the number of classes
    of the dataset. `top1` and `std` are in %. If a source does not give a value, texts are empty and `std` is missing.
    """
    with (files(__name__.rpartition(".tables.")[0]) / "published.csv").open(encoding="utf-8") as file:
        figures = pd.read_csv(file, dtype={"std": "float64"})
    texts = ["dataset", "architecture", "method", "teacher", "source", "note"]
    return figures.assign(**{name: figures[name].fillna("").astype("str") for name in texts})


def published(frame: pd.DataFrame) -> RenderedTable:
    """Return a table of our top-1 accuracies beside published ones on the same datasets and architectures.

    A published result is shown only if its network has as many parameters as a completed trial's network.

    Raises:
        SpecError: If nothing is published on these, or the sweep has no top-1 accuracy to compare.
    """
    table = comparison(frame, "test/final/top1")
    networks = _networks(frame)
    figures = reported()
    described = zip(figures["dataset"], figures["architecture"], figures["parameters"], strict=True)
    figures = figures.loc[[network in networks for network in described]]
    if figures.empty:
        ours = ", ".join(sorted({f"{row.architecture} on {row.dataset}" for row in table.rows}))
        raise SpecError(
            f"no published results for {ours}. Published results are shown beside completed trials whose network has "
            "the same number of parameters."
        )
    sources = list(dict.fromkeys(zip(figures["source"], figures["note"], strict=True)))
    lines = [line for row in table.rows for line in _lines(table, row, figures, _teachers(frame))]
    return RenderedTable(
        sweep=table.sweep,
        subject="published",
        title=f"{title(table)}, ours and published results",
        remarks=(
            *remarks(table),
            "Ours: one codebase and one recipe",
            "Reported: sources below, which differ in recipe, data handling and epoch selection",
            "A difference between ours and reported is not a gain of the method",
        ),
        headings=tuple(
            Heading(lines=(name,), align="right" if name == "ours" else "left")
            for name in ("architecture", "method", "teacher", "ours", "reported")
        ),
        stubs=2,
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


def _networks(frame: pd.DataFrame) -> set[tuple[str, str, int]]:
    """Return dataset, architecture and number of parameters of each completed trial's network with its final exit."""
    runs = results(frame)
    if _PARAMETERS not in runs:
        return set()
    runs = runs.loc[(runs["state"] == "done") & runs[_PARAMETERS].notna()]
    return set(zip(runs["dataset"], runs["architecture"], runs[_PARAMETERS].astype("int64"), strict=True))


_Line = tuple[RowLabel, str, str, Cell | None, pd.DataFrame]


def _lines(
    table: Table, row: RowLabel, figures: pd.DataFrame, teachers: dict[tuple[RowLabel, Column], str]
) -> list[_Line]:
    """Return the lines of one row: first the trained methods, then the methods with published results only."""
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
    """Return the architecture of the teacher by row and column; without methods that have no teacher."""
    runs, _ = labelled(frame)
    architecture = f"{PARAMETER_PREFIX}teacher.architecture"
    if architecture not in runs:
        return {}
    runs = runs.loc[runs[architecture].notna()]
    return dict(zip(zip(runs["row"], runs["column"], strict=True), runs[architecture], strict=True))


def _figures(figures: pd.DataFrame, method: str, teacher: str) -> pd.DataFrame:
    return figures.loc[(figures["method"] == method) & (figures["teacher"] == teacher)]


def _listed(figures: pd.DataFrame, sources: Sequence[tuple[str, str]]) -> str:
    """Return `75.61 [1], 76.24 (0.10) [3]`, with standard deviation if published; – without results."""
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
    """Return a record for each published result beside ours, or one record with ours alone."""
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
