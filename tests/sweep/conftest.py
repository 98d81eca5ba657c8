"""Fixtures with sweep files and results."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exeunt.store import Store, digest
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.sweep_file import Sweep, read_sweep
from exeunt.training import TrialSpec, build_student
from exeunt.training.checkpoints import serialized

from ..command_line import run_in_process
from .sweep_files import GOOD, BadFile, write_bad_file


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], Sweep]:
    """Function that reads a sweep from text."""

    def read_text(text: str) -> Sweep:
        path = tmp_path / "sweep.yaml"
        path.write_text(text, encoding="utf-8")
        return read_sweep(path)

    return read_text


@pytest.fixture
def good() -> str:
    """A valid sweep file."""
    return GOOD


@pytest.fixture
def bad_file(request: pytest.FixtureRequest, tmp_path: Path) -> BadFile:
    """The invalid file that a test names as its parameter."""
    if request.param == "forbidden" and os.geteuid() == 0:
        pytest.skip("root may read everything")
    return write_bad_file(request.param, tmp_path / "bad.yaml")


@pytest.fixture
def ended() -> Callable[..., dict[str, Any]]:
    """Function that returns the content of a `result.json` without metrics."""
    return lambda state, **more: {"state": state, "seconds": 1.0, "metrics": {}, "environment": {}} | more


@pytest.fixture
def run_on_store(store):
    """Return a function that runs a command on the store in this process."""
    return lambda *words: run_in_process(*words, "--storage", store.location)


@pytest.fixture
def plan(read, good):
    return make_plan(read(good))


@pytest.fixture
def store(tmp_path, database):
    store = Store(tmp_path / "storage")
    store.database.parent.mkdir()
    shutil.copy(database, store.database)
    return store


@pytest.fixture
def trained(store):
    """Return a function that writes the files of a completed trial."""

    def leave(trial, *, epochs=2, metrics=1, accuracy=90.0, weights=False, **result):
        numbers = {f"train/loss/{number}": 1.0 for number in range(metrics)}
        history = [{"epoch": epoch, "time": 1e9 + epoch, "seconds": 2.0, **numbers} for epoch in range(1, epochs + 1)]
        history[-1]["test/final/top1"] = accuracy
        outcome = {
            "state": "done",
            "key": trial.key,
            "seconds": 2.0 * epochs,
            "metrics": {name: value for name, value in history[-1].items() if "/" in name},
            "environment": {"torch": "2", "commit": "0123456789ab"},
            "early_exit": [[0.5, 1e6, 90.0]],
            "reliability": {"exit1": [[9, 0.5, 0.0]], "final": [[9, 0.5, 0.25]]},
        }
        directory = store.trial(trial.key)
        directory.write_spec(trial.spec)
        directory.write_history(history)
        if weights:
            directory.write_weights(serialized(build_student(TrialSpec.from_dict(trial.spec)).state_dict()))
            outcome["weights"] = digest(directory.weights())
        directory.write_result(outcome | result)

    return leave
