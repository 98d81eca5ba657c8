import subprocess
import sys

import pytest

HEAVY = {"torch", "numpy", "pandas", "mlflow", "ray", "optuna", "pyarrow", "yaml", "pydantic", "typer", "rich"}
PROGRAM = """
import sys
import exeunt.store
from pathlib import Path
store = exeunt.store.Store(Path(sys.argv[1]))
with store.attempt("k-s0", driver="d") as files:
    files.checkpoints.write(b"state", epoch=1, step=0)
    files.write_result({"state": "done", "seconds": 1.0, "metrics": {}, "environment": {}})
with exeunt.store.hold_lease(store.sweep_directory("s"), "s"):
    print(store.progress("k-s0").state, *sys.modules)
"""


@pytest.mark.slow
def test_the_store_needs_the_standard_library_only(tmp_path):
    ran = subprocess.run([sys.executable, "-c", PROGRAM, tmp_path], capture_output=True, text=True, check=True)
    state, *imported = ran.stdout.split()
    assert state == "done"
    assert HEAVY & {*imported} == set()
    assert {name for name in imported if name.startswith("exeunt.")} == {
        name for name in imported if name.startswith(("exeunt.store", "exeunt.specs"))
    }
