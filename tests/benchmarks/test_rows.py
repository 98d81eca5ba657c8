import csv
import importlib.metadata
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def rows(monkeypatch, tmp_path):
    """Module that adds rows, with its file in an empty directory."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import rows

    monkeypatch.setattr(rows, "RESULTS", tmp_path / "results.csv")
    yield rows
    sys.modules.pop("rows")


def test_packages_that_are_absent_are_left_out_of_a_row(rows, monkeypatch):
    def version(name):
        if name != "torch":
            raise importlib.metadata.PackageNotFoundError(name)
        return "2.11.0"

    monkeypatch.setattr(importlib.metadata, "version", version)
    rows.report("training: x", 12.3456, "images/s")
    with rows.RESULTS.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["versions"] == "torch 2.11.0"
    assert (row["benchmark"], row["value"], row["unit"], row["ratio"]) == ("training: x", "12.35", "images/s", "")
