import subprocess
import sys

import pytest

HEAVY = {"ray", "mlflow", "optuna", "pydantic", "pandas", "yaml", "typer", "rich", "scipy", "sklearn"}
TRAINING = """
import sys
from pathlib import Path
from exeunt.losses import EED
from exeunt.models import ArchitectureSpec, ExitSpec
from exeunt.training import DatasetSpec, Recipe, TrialSpec, train
from exeunt.store import TrialFiles

trial = TrialSpec(
    dataset=DatasetSpec(name="digits"), architecture=ArchitectureSpec(name="resnet8"), exits=ExitSpec(placement="all"),
    method=EED(), recipe=Recipe(epochs=1, batch_size=512, crop="none", flip=False), seed=0,
)
assert train(trial, TrialFiles(Path(sys.argv[1])), device="cpu")["state"] == "done"
print(*sys.modules)
"""


@pytest.mark.slow
def test_a_training_needs_nothing_but_torch_and_numpy_and_no_compiler(tmp_path):
    words = [sys.executable, "-c", TRAINING, tmp_path]
    ran = subprocess.run(words, capture_output=True, text=True, check=True)
    imported = set(ran.stdout.split())
    assert {"exeunt", "torch", "numpy"} <= imported
    assert imported & {"torch._dynamo", "torch._inductor", "sympy"} == set()
    assert imported & HEAVY == set()
