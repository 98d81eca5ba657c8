import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HEAVY = ["torch", "torchvision", "ray", "mlflow", "optuna", "pandas", "numpy", "sqlalchemy", "pyarrow"]
PROGRAM = f"""
import contextlib, sys
import exeunt.losses
needed_by_losses = {{*sys.modules}}
from exeunt.sweep.__main__ import main

sys.argv[0] = "exeunt"
with contextlib.suppress(SystemExit):
    main()
print(*({{*{HEAVY}}} & sys.modules.keys() - needed_by_losses), file=sys.stderr)
"""
"""A command. Its last line on standard error names the imported packages, without those of `exeunt.losses` itself."""
MISTAKE = "name: x\ndataset: digits\narchitectures: [resnet9]\nseeds: [0]\nmethods: {baseline: {}}\n"


def heavy_imports(*words):
    ran = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True)
    *before, last = ran.stderr.splitlines()
    return ran.stdout, before, last


@pytest.mark.slow
def test_a_plan_imports_no_torch_and_nothing_of_a_sweep_that_runs(tmp_path):
    file = ROOT / "configs" / "quickstart.yaml"
    said, errors, imported = heavy_imports("plan", str(file), "--storage", str(tmp_path), "--throughput", "1e9")
    assert "quickstart" in said
    assert errors == []
    assert imported == ""


@pytest.mark.slow
def test_a_mistake_in_a_sweep_file_is_found_without_torch(tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text(MISTAKE)
    _, errors, imported = heavy_imports("plan", str(file))
    assert "unknown architecture 'resnet9'; the nearest is 'resnet8'" in errors[0]
    assert imported == ""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["methods", "architectures", "datasets", "recipes", "heads"])
def test_lists_of_names_need_no_torch(kind):
    said, errors, imported = heavy_imports("list", kind)
    assert said
    assert errors == []
    assert imported == ""


@pytest.mark.slow
def test_the_driver_of_a_sweep_needs_no_torch():
    program = "import exeunt.sweep.execution.runner, exeunt.sweep.tracking.writer, sys; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
