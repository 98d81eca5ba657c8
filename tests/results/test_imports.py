"""Modules that reading an SQLite database and building tables import."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "ray", "mlflow", "sqlalchemy", "alembic", "optuna", "statsmodels"}

READ = """
import sys
from exeunt.results import {names}
{lines}
print(*sys.modules)
"""


def imported(names, *lines):
    script = READ.format(names=names, lines="\n".join(lines))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_a_name_of_results_imports_its_own_module_alone():
    modules = imported("Metric")
    assert not modules & {*HEAVY, "pandas", "numpy", "scipy", "matplotlib", "rich"}


@pytest.mark.slow
def test_a_table_of_an_sqlite_database_needs_neither_mlflow_nor_matplotlib(record):
    sweep = record()
    sweep.trials("baseline", 90.0, 91.0, 92.0)
    sweep.trials("kd", 91.0, 92.0)
    read = f"frame = load({sweep.tracking_uri!r}, {sweep.sweep!r})"
    table = imported("comparison, history, load", read, f"history({sweep.tracking_uri!r}, {sweep.sweep!r})")
    assert not table & {*HEAVY, "matplotlib", "scipy"}
    lines = [read, "render(tabulate(frame))", "render(explain(frame, 'resnet8', 'kd'))"]
    assert not imported("explain, load, render, tabulate", *lines) & {*HEAVY, "matplotlib", "scipy"}


@pytest.mark.slow
@pytest.mark.parametrize("package", ["figures", "report", "mlflow_reader", "tables"])
def test_no_module_of_results_imports_mlflow(package):
    assert not imported(package, f"import exeunt.results.{package}") & HEAVY
