"""Tests of docs/studies: commands make the committed files, and the text has the numbers of the tables."""

import csv
import html
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.sweep_file import read_sweep

from .command_line import scripts

STUDIES = sorted(path.parent for path in (Path(__file__).parents[1] / "docs" / "studies").glob("*/README.md"))
"""Finished studies: one that is still running has questions.md and sweep.yaml only."""
WRITTEN = {"README.md", "commands.sh", "questions.md", "sweep.yaml"}
"""Files written by hand; commands make the others."""

studies = pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)


def made(study: Path) -> set[str]:
    files = {str(path.relative_to(study)) for path in study.rglob("*") if path.is_file()}
    return files - WRITTEN


def table(study: Path, kind: str) -> list[dict[str, str]]:
    with (study / "tables" / f"{kind}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.nightly
@pytest.mark.usefixtures("ray_here")
@studies
def test_the_commands_make_what_is_committed(study, tmp_path):
    """Handwritten digits, one epoch and two seeds replace the real settings."""
    again = tmp_path / study.name
    again.mkdir()
    for name in ("commands.sh", "sweep.yaml"):
        shutil.copy(study / name, again)
    text = (study / "sweep.yaml").read_text(encoding="utf-8")
    for real, other in (
        ("dataset: .*", "dataset: digits"),
        (r"epochs: \d+", "epochs: 1"),
        ("seeds: .*", "seeds: [0, 1]"),
    ):
        text = re.sub(real, other, text)
    (again / "sweep.yaml").write_text(text, encoding="utf-8")
    with scripts() as runner:
        path = {"PATH": f"{runner.folder}{os.pathsep}{os.environ['PATH']}"}
        process = subprocess.Popen(["sh", "commands.sh"], cwd=again, env=os.environ | path)
        assert runner.wait_for(process) == 0
    shutil.rmtree(again / "runs")
    assert made(again) == made(study)


@studies
def test_the_tables_are_of_all_trials_of_the_sweep(study):
    sweep = read_sweep(study / "sweep.yaml")
    results = [trial for trial in make_plan(sweep).trials if trial.role == "result"]
    rows = table(study, "main")
    assert sum(int(row["n"]) for row in rows) == len(results)
    assert {row["method"].split(" ")[0] for row in rows} == {trial.configuration.method for trial in results}
    assert {row["dataset"] for row in rows} == {trial.configuration.dataset for trial in results}
    captions = [path.read_text(encoding="utf-8").partition("\n\n")[0] for path in (study / "tables").glob("*.tex")]
    for name in {trial.configuration.dataset for trial in results}:
        assert all(name.replace("%", r"\%") in caption for caption in captions), "every caption names the dataset"


@studies
def test_the_text_has_the_numbers_of_the_tables(study):
    """Each mean and standard deviation of the text is in the main table."""
    text = (study / "README.md").read_text(encoding="utf-8")
    said = re.findall(r"(\d+\.\d\d) ± (\d+\.\d\d)", text)
    known = {(f"{float(row['mean']):.2f}", f"{float(row['std']):.2f}") for row in table(study, "main")}
    assert said
    assert set(said) <= known


@studies
def test_the_text_quotes_the_report(study):
    text = (study / "README.md").read_text(encoding="utf-8")
    page = " ".join(html.unescape((study / "report.html").read_text(encoding="utf-8")).split())
    quoted = [
        " ".join(quote.replace("\n> ", " ").split()) for quote in re.findall(r"^> ((?:.+\n> ?)*.+)", text, re.MULTILINE)
    ]
    assert quoted
    assert [quote for quote in quoted if quote not in page] == []


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
@studies
def test_the_tables_fit_a_page(study, tmp_path):
    body = r"\clearpage ".join(path.read_text(encoding="utf-8") for path in sorted((study / "tables").glob("*.tex")))
    document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "tables.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert re.findall(r"Overfull.*|^!.*|Float too large.*", done.stdout, re.MULTILINE) == []
