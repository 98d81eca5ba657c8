"""The copy of the package for other nodes: a node that has no Exeunt of its own can import the worker from it."""

import subprocess
import sys

import pytest
from exeunt.sweep.execution.runtime_env import packed

WITHOUT_OWN = """
import sys
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
sys.path.insert(0, sys.argv[1])
import exeunt.sweep.execution.worker, exeunt.training.train, exeunt.sweep.execution.preemption
for name, module in list(sys.modules.items()):
    if name.startswith("exeunt.") and getattr(module, "__file__", None):
        assert module.__file__.startswith(sys.argv[1]), module.__file__
"""


@pytest.mark.slow
def test_a_node_without_exeunt_imports_the_worker_from_the_copy():
    with packed() as folder:
        program = [sys.executable, "-c", WITHOUT_OWN, folder]
        run = subprocess.run(program, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
