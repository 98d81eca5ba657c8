"""Sweeps survive seeded histories of failures, see `history`."""

import shutil
from pathlib import Path

import pytest
from exeunt.specs import sqlite_uri

from ..io_calls import memory_folder
from .history import History

CHUNK = 50
FEW = range(0, 300, CHUNK)
MANY = range(1000, 11_000, CHUNK)


@pytest.fixture
def tracking_uri(database):
    folder = memory_folder()
    yield sqlite_uri(Path(shutil.copy(database, folder / "mlflow.db")))
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.parametrize("first", [*FEW, *(pytest.param(first, marks=pytest.mark.nightly) for first in MANY)])
def test_what_a_sweep_promises_holds_in_each_history(first, tracking_uri):
    for seed in range(first, first + CHUNK):
        try:
            History(seed, tracking_uri).run()
        except BaseException as error:
            error.add_note(f"Replay: .venv/bin/python -m tests.histories {seed}")
            raise
