import subprocess
import sys

import pytest

HEAVY = {"ray", "mlflow", "optuna", "pydantic", "pandas", "yaml", "typer", "rich", "scipy", "sklearn"}
PROGRAM = """
import sys
import exeunt.losses, exeunt.models, exeunt.training
exeunt.training.datasets["digits"].load()
print(*(name for name in sys.modules if "." not in name))
"""


@pytest.mark.slow
def test_training_needs_nothing_but_torch_and_numpy():
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    imported = set(ran.stdout.split())
    assert {"exeunt", "torch", "numpy"} <= imported
    assert imported & HEAVY == set()
