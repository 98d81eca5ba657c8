"""Programs of `examples/`, run as their readers do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
NEEDS = {"lightning_module": "lightning", "timm_exits": "timm"}
LAST = {
    "own_loop": "of the images leave early",
    "timm_exits": "largest difference to timm's network: 0.0",
    "lightning_module": "{'exit 1': 0.",
}


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(path, id=path.stem, marks=pytest.mark.nightly if path.stem in NEEDS else pytest.mark.slow)
        for path in EXAMPLES
    ],
)
def test_an_example_runs_as_written(program, tmp_path):
    if program.stem in NEEDS:
        pytest.importorskip(NEEDS[program.stem])
    ran = subprocess.run([sys.executable, program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert LAST[program.stem] in ran.stdout


@pytest.mark.nightly
def test_the_notebook_runs_cell_by_cell(tmp_path):
    notebook = json.loads((FOLDER / "sweep.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    (tmp_path / "cells.py").write_text("\n".join(cells))
    words = [sys.executable, "cells.py"]
    ran = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "resnet8.pt2").stat().st_size > 100_000
    assert not any(cell.get("outputs") for cell in notebook["cells"])


def test_the_loop_is_short():
    lines = next(path for path in EXAMPLES if path.stem == "own_loop").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 60
