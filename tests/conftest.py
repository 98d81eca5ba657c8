"""Commands in this process and in their own, and what several test processes share."""

import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
import ray  # noqa: F401 (it reads that now, and the Ray of the tests listens on loopback alone)

del os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"]  # the program has to set it for itself

from hypothesis import settings

from .command_line import Answer, Program, run_in_process

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
"""Those that may be used, however many test processes share them."""


gc.set_threshold(100_000)  # as the command line does
settings.register_profile("change", max_examples=40, deadline=None, database=None, derandomize=True)
settings.register_profile("nightly", max_examples=500, deadline=None, database=None)
settings.load_profile("change")


@pytest.fixture(autouse=True, scope="session")
def _cores_of_its_own_for_each_test_process() -> None:
    """So that the sweeps of one do not wait for those of another; and small tensors gain nothing from more threads."""
    import torch

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


@pytest.fixture(scope="session")
def run() -> Callable[..., Answer]:
    """Run a command that trains nothing in this process."""
    return run_in_process


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """The Ray of this test process, which sweeps in it share: starting one takes longer than a small sweep."""
    from exeunt.sweep.execution.cluster import ray_at

    environment = dict(os.environ)
    with ray_at(None) as ready:
        ready()
        os.environ.clear()  # the real program has to set these for itself
        os.environ.update(environment)
        yield


@pytest.fixture(scope="session")
def exeunt(ray_here: None, database: Path) -> Iterator[Callable[..., Answer]]:  # noqa: ARG001 (it has to run first)
    """Run a command that may train in this process. A new database of MLflow's is a copy there."""
    from exeunt.sweep.tracking import writer

    def copy(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(database, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "create_database", copy)
        yield run_in_process


@pytest.fixture(scope="session")
def start() -> Iterator[Callable[..., Program]]:
    """Start `exeunt` as a program of its own, and do not wait for it."""
    started: list[Program] = []

    def start_program(*arguments: object) -> Program:
        started.append(Program([Path(sys.executable).with_name("exeunt"), *map(str, arguments)]))
        return started[-1]

    yield start_program
    for program in started:
        program.kill_group()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Make a folder once for all test processes, and return it. It is not to be changed, but may be copied."""
    from filelock import FileLock

    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder, whole = root / f"shared-{name}", root / f"shared-{name}.whole"
        with FileLock(root / f"shared-{name}.lock"):
            if not whole.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                whole.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def database(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A database of MLflow's with nothing in it: making one takes seconds, copying it none."""

    def fill(folder: Path) -> None:
        from exeunt.sweep.tracking.writer import create_database

        create_database(folder / "mlflow.db")

    return made_once("database", fill) / "mlflow.db"
