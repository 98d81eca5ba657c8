import csv
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def pages(monkeypatch):
    """Module that writes the page, a script in the directory of the benchmarks."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import page

    yield page
    sys.modules.pop("page")


def test_the_page_has_the_newest_committed_rows(pages):
    written = pages.PAGE.read_text(encoding="utf-8")
    assert written == pages.page(pages.newest()), "run: python benchmarks/page.py"


def test_each_row_is_on_the_page_with_a_command_that_is_there(pages):
    rows = pages.newest()
    assert {name.partition(":")[0] for name in rows} == set(pages.COMMANDS)
    assert pages.page(rows).count("\n| ") == len(rows) + len(pages.COMMANDS)  # and one heading for each command
    for command in pages.COMMANDS.values():
        for script in command.replace(",", "").split():
            assert not script.endswith(".py") or (BENCHMARKS.parent / script).is_file(), script


def test_of_several_rows_the_last_one_counts(pages, tmp_path):
    path = tmp_path / "results.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["benchmark", "value"], ["loss: x", "1"], ["loss: y", "2"], ["loss: x", "3"]])
    assert {name: row["value"] for name, row in pages.newest(path).items()} == {"loss: x": "3", "loss: y": "2"}
