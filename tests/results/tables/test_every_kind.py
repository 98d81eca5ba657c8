import csv
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from exeunt.results import FORMATS, KINDS, render, tabulate
from exeunt.specs import SpecError

from .made_up import OPTIONS, SPECIAL, made


@pytest.fixture
def sweep(request, sweep):
    """The sweep; for the table of regimes, half of its trials have another one."""
    if getattr(request.node, "callspec", None) and request.node.callspec.params.get("kind") == "regimes":
        for trial in sweep.trials:
            if trial.get("param.method.temperature") == "3":
                trial["param.regime"] = "mixed"
    return sweep


def test_an_unknown_kind_names_the_nearest(sweep):
    with pytest.raises(SpecError, match="unknown kind of table 'exit'; the nearest is 'exits'"):
        made(sweep, "exit")


def test_only_an_ablation_has_axes(sweep):
    with pytest.raises(SpecError, match="'exits' does not accept rows"):
        tabulate(sweep.frame(), "exits", rows="temperature")


@pytest.mark.parametrize("kind", ["main", "exits", "cost", "kd", "ablation"])
def test_what_is_not_run_may_be_another_trial_that_is(sweep, kind):
    remark = "Not run: no recorded trial, or identical to another column"
    assert remark not in made(sweep, kind).remarks
    sweep.trial("eed", 70.0, architecture="resnet56", exits__placement="block4", method__temperature="1")
    assert remark in made(sweep, kind).remarks


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_the_frame_changes_no_byte(sweep, kind):
    frame, options = sweep.frame(), OPTIONS.get(kind, {}) | {"history": sweep.history}
    sheet, *others = (tabulate(frame.sample(frac=1, random_state=attempt), kind, **options) for attempt in range(3))
    for format in FORMATS:
        assert {render(other, format) for other in others} == {render(sheet, format)}


@pytest.mark.parametrize("kind", KINDS)
def test_csv_and_json_hold_the_same_records(sweep, kind):
    sheet = made(sweep, kind)
    lines = list(csv.DictReader(io.StringIO(render(sheet, "csv"))))
    content = json.loads(render(sheet, "json"))
    assert content["title"] == sheet.title
    assert [list(line) for line in lines] == [list(record) for record in content["records"]]
    assert not any(str(cell).startswith("=") for line in lines for cell in line.values())
    numbers = [value for record in content["records"] for value in record.values() if isinstance(value, float)]
    assert np.isfinite(numbers).all()


class Reader(HTMLParser):
    """Collector of the tags of a page and the number of cells per row."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.rows: list[int] = []

    def handle_starttag(self, tag, _attributes):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.rows[-1] += 1


@pytest.mark.parametrize("kind", KINDS)
def test_html_is_a_table_and_nothing_that_came_from_a_file(sweep, kind):
    sweep.trial("eed", 70.0, architecture="<script>alert(1)</script>", method__temperature="<b>", exits__placement="&")
    sheet = made(sweep, kind)
    page = render(sheet, "html")
    reader = Reader()
    reader.feed(page)
    known = {"table", "caption", "thead", "tbody", "tr", "th", "td", "br", "small", "strong", "u", "sup", "p"}
    assert reader.tags <= known
    assert set(reader.rows) == {len(sheet.headings)}
    assert page.count('scope="row"') == len(sheet.rows)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
@pytest.mark.parametrize("kind", KINDS)
def test_latex_of_every_kind_compiles(sweep, kind, tmp_path):
    for architecture in ("[bold]", "*net|<b>`", "naïve – 模型 ±"):
        odd = {"architecture": architecture, "method__temperature": SPECIAL, "exits__placement": SPECIAL}
        sweep.trial("eed", 70.0, **odd)
        taught = {"architecture": architecture, "teacher__architecture": "[a]", "teacher__key": "x"}
        sweep.trial("kd", None, state="failed", error=SPECIAL, **taught)
    assert compiled(render(made(sweep, kind), "latex"), tmp_path)


def compiled(table: str, folder: Path) -> int:
    """Compile a document with this table, and return its number of pages."""
    document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{table}\end{{document}}"
    (folder / "table.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "table.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    return int(re.search(r"\((\d+) pages?", done.stdout)[1])


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
def test_latex_of_many_rows_breaks_over_pages_between_rows(sweep, tmp_path):
    for number in range(40):
        for seed in range(2):
            sweep.trial("baseline", 70.0 + seed, architecture=f"net{number}", seed=seed)
            sweep.trial("eed", 71.0 + seed, architecture=f"net{number}", seed=seed, method__temperature="1")
    table = render(made(sweep, "main"), "latex")
    assert compiled(table, tmp_path) > 2
    assert table.count(r"\label") == 1
    parts = table.split(r"\end{tabular}")
    assert len(parts) > 3
    for part in parts[:-1]:  # the details of a row are in the same part
        (rows,) = re.findall(r"\\midrule\n(.*)\\bottomrule", part, re.DOTALL)
        assert not rows.startswith(" "), "a part begins with details"
