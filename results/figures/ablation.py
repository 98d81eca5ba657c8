"""Ablation figures: heat maps of two settings of a method."""

import math
import re
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ..rendered_table import RenderedTable, one_line
from ..search import has_search
from ..tables.ablation import ablation as tabulated
from ..tables.ablation import varying_pairs
from .data import SweepData
from .figure import Figure
from .panels import ACROSS, caption, grid, lacking_seeds
from .style import GREY, written

_SETTING_LETTERS = 16
"""Maximum letters per line of a setting's value."""
_FITTING = {1: 90, 2: 42, 3: 26}
"""Maximum letters of all values of a setting below a panel, by number of panels per row."""
_WHITE = (1.0, 1.0, 1.0, 1.0)
_MIDDLE = 0.179
"""Luminance at which black and white text have equal contrast."""
_Record = Mapping[str, str | float | int | None]


def ablation(data: SweepData) -> list[Figure]:
    """Draw the final exit's accuracy for each pair of varying settings of each method; empty for a search."""
    frame = data.frame
    if has_search(frame):
        return []
    return [
        _figure(tabulated(frame, rows=rows, columns=across, method=method), method)
        for method, rows, across in varying_pairs(frame)
    ]


def _figure(sheet: RenderedTable, method: str) -> Figure:
    records = sheet.records
    rows, across = str(records[0]["rows"]), str(records[0]["columns"])
    downwards, sideways = _ordered(records, "row"), _ordered(records, "column")
    others = list(dict.fromkeys(str(record["besides"]) for record in records))
    width = 1 if len(sideways) > 9 else 2 if len(sideways) > 4 else ACROSS
    height = 0.42 if _missing(records) else 0.36
    drawing, axes = grid(others, height=0.8 + height * len(downwards), across=width, wide=width < ACROSS)
    for other, panel in zip(others, axes, strict=True):
        of_panel = {
            (str(record["row"]), str(record["column"])): record for record in records if str(record["besides"]) == other
        }
        _draw(panel, [[of_panel.get((row, column)) for column in sideways] for row in downwards])
        _name(panel, downwards, sideways, slanted=max(map(len, sideways)) * len(sideways) > _FITTING[width])
        panel.set_xlabel(written(across))
        panel.set_ylabel(written(rows))
    return Figure(
        name=_stem("ablation", method, rows, across),
        title=sheet.title,
        sentences=caption(
            sheet.title,
            "Colours of each panel: lowest mean dark, highest mean bright",
            *sheet.remarks,
            "Hatched: no completed seed" if any(_is_hatched(record) for record in records) else "",
            "–: not run" if any(record["planned"] is None for record in records) else "",
            _missing(records),
        ),
        drawing=drawing,
    )


def _draw(panel: Axes, cells: Sequence[Sequence[_Record | None]]) -> None:
    means = np.array([[_mean(cell) for cell in row] for row in cells])
    known = means[np.isfinite(means)]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    colors = mpl.colormaps["cividis"]
    for (down, sideways), mean in np.ndenumerate(means):
        cell = cells[down][sideways]
        share = 0.5 if high == low else (mean - low) / (high - low)
        is_run = cell is not None and cell["planned"] is not None
        fill = colors(float(share)) if math.isfinite(mean) else _WHITE
        panel.add_patch(
            Rectangle(
                (sideways - 0.5, down - 0.5),
                1,
                1,
                facecolor=fill,
                edgecolor="white" if not is_run or math.isfinite(mean) else "#BBBBBB",
                hatch="////" if is_run and not math.isfinite(mean) else None,
                linewidth=1,
            )
        )
        if cell is not None and is_run:
            panel.text(
                sideways,
                down,
                _text(cell),
                color="black" if _luminance(fill) > _MIDDLE else "white",
                horizontalalignment="center",
                verticalalignment="center",
                fontsize=7,
                bbox=None if math.isfinite(mean) else {"facecolor": "white", "edgecolor": "none", "pad": 1},
            )
        else:
            panel.text(sideways, down, "–", color=GREY, horizontalalignment="center", verticalalignment="center")


def _name(panel: Axes, downwards: Sequence[str], sideways: Sequence[str], *, slanted: bool) -> None:
    """Write the values of both settings along the edges of the panel."""
    panel.set(xlim=(-0.5, len(sideways) - 0.5), ylim=(len(downwards) - 0.5, -0.5))
    panel.set_xticks(range(len(sideways)), [written(value, _SETTING_LETTERS) for value in sideways])
    panel.set_yticks(range(len(downwards)), [written(value, _SETTING_LETTERS) for value in downwards])
    panel.tick_params(length=0)
    panel.grid(visible=False)
    panel.spines[:].set_visible(False)
    if slanted:
        panel.tick_params(axis="x", labelrotation=30)
        for label in panel.get_xticklabels():
            label.set(horizontalalignment="right", rotation_mode="anchor")


def _luminance(color: tuple[float, float, float, float]) -> float:
    """Return the relative luminance (WCAG 2.2) of an RGBA colour with components in [0, 1]."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _text(cell: _Record) -> str:
    """Return the text of a cell: mean, standard deviation, and number of seeds if some are missing."""
    n, planned, deviation = cell["n"], cell["planned"], cell["std"]
    lines = [] if cell["mean"] is None else [f"{_mean(cell):.2f}"]
    if isinstance(deviation, float):
        lines.append(f"± {deviation:.2f}")
    if n != planned:
        lines.append(f"{n} of {planned}")
    return "\n".join(lines)


def _mean(cell: _Record | None) -> float:
    mean = None if cell is None else cell["mean"]
    return float(mean) if isinstance(mean, float | int) else math.nan


def _is_hatched(cell: _Record) -> bool:
    return cell["planned"] is not None and cell["mean"] is None


def _missing(records: Sequence[_Record]) -> str:
    """Return the sentence on cells with missing seeds, with numbers and reasons; empty without such cells."""
    return lacking_seeds(
        f"{record['besides']} {record['rows']}={record['row']}, {record['columns']}={record['column']}: {record['n']} "
        f"of {record['planned']} seeds ({record['note']})".strip()
        for record in records
        if record["planned"] is not None and record["n"] != record["planned"]
    )


def _ordered(records: Sequence[_Record], name: str) -> list[str]:
    """Return the values of a setting: numbers by size, others in plan order, `none` first."""
    values = list(dict.fromkeys(str(record[name]) for record in records))

    def place(value: str) -> tuple[int, float]:
        try:
            return 1, float(value)
        except ValueError:
            return 0, values.index(value)

    are_numbers = all(place(value)[0] for value in values if value != "none")
    return sorted(values, key=place) if are_numbers else values


def _stem(*names: str) -> str:
    return "-".join(filter(None, (re.sub(r"[^A-Za-z0-9_]+", "-", one_line(name)).strip("-")[:40] for name in names)))
