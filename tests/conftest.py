import os
from collections.abc import Iterator

import pytest
import torch

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
"""Those that may be used, however many test processes share them."""


@pytest.fixture(autouse=True, scope="session")
def _cores_of_its_own_for_each_test_process() -> None:
    """So that the sweeps of one do not wait for those of another; and small tensors gain nothing from more threads."""
    torch.set_num_threads(1)
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if own := CORES[number % processes :: processes]:
        os.sched_setaffinity(0, own)


@pytest.fixture
def all_cores() -> Iterator[None]:
    """For a test of what runs at the same time."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, CORES)
    yield
    os.sched_setaffinity(0, own)
