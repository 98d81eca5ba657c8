"""Fixtures with sweep files and results."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exeunt.sweep.planning.sweep_file import Sweep, read_sweep

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
