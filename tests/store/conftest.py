from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exeunt.specs import trial_key
from exeunt.store import Record, Store

SPEC = {
    "dataset": {"name": "digits"},
    "architecture": {"name": "resnet8"},
    "exits": {"placement": "none", "head": "conv"},
    "method": {"name": "baseline"},
    "recipe": {"epochs": 2},
    "seed": 0,
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def spec() -> Record:
    """Canonical spec of a trial, as far as the store checks it."""
    return SPEC


@pytest.fixture
def key(spec: Record) -> str:
    return trial_key(spec)


@pytest.fixture
def ended() -> Callable[..., dict[str, Any]]:
    """Function that returns the content of a `result.json` without metrics."""
    return lambda state, **more: {"state": state, "seconds": 1.0, "metrics": {}, "environment": {}} | more
