"""Fixtures that run commands in this process or as programs, and files that test processes share."""

import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
import ray  # noqa: F401 (Ray reads the variable at import; the Ray of the tests then listens on loopback only)

del os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"]  # the program must set it itself
os.environ.setdefault("RAY_worker_niceness", "0")  # by default 15, so workers would starve beside other test processes

from hypothesis import settings

from .command_line import Answer, Program, run_in_process

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
"""CPU cores that all test processes share."""


gc.set_threshold(100_000)  # same as the command line
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored if a shell runs the tests in the background
settings.register_profile("change", max_examples=40, deadline=None, database=None, derandomize=True)
settings.register_profile("nightly", max_examples=500, deadline=None, database=None)
settings.load_profile("change")


@pytest.fixture(autouse=True, scope="session")
def _cores_of_its_own_for_each_test_process() -> None:
    """Divide the cores among the test processes, so that sweeps do not compete; use one thread for small tensors."""
    import torch

    torch.set_num_threads(1)
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    groups = min(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")), len(CORES))
    if groups:
        os.sched_setaffinity(0, CORES[number % groups :: groups])


def pytest_xdist_auto_num_workers() -> int:
    """Return the number of cores, at most 8: more processes make each test slower, and the whole too."""
    return min(len(CORES) or os.cpu_count() or 1, 8)


@pytest.fixture
def all_cores() -> Iterator[None]:
    """Allow all cores to a test that runs trials concurrently."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, CORES)
    yield
    os.sched_setaffinity(0, own)


@pytest.fixture(scope="session")
def run() -> Callable[..., Answer]:
    """Function that runs a command without training in this process."""
    return run_in_process


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """One Ray for all sweeps of this test process, because its start takes longer than a small sweep."""
    from exeunt.sweep.execution.cluster import ray_at

    environment = dict(os.environ)
    with ray_at(None) as ready:
        ready()
        os.environ.clear()  # the real program must set these itself
        os.environ.update(environment)
        yield


@pytest.fixture(scope="session")
def exeunt(ray_here: None, database: Path) -> Iterator[Callable[..., Answer]]:  # noqa: ARG001 (it must run first)
    """Function that runs a command with training in this process. New MLflow databases are copies of one file."""
    from exeunt.sweep.tracking import writer

    def copy(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(database, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "create_database", copy)
        yield run_in_process


@pytest.fixture(scope="session")
def start() -> Iterator[Callable[..., Program]]:
    """Function that starts `exeunt` as a separate program without waiting for it."""
    started: list[Program] = []

    def start_program(*arguments: object) -> Program:
        started.append(Program([Path(sys.executable).with_name("exeunt"), *map(str, arguments)]))
        return started[-1]

    yield start_program
    for program in started:
        program.kill_group()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Function that creates a directory once for all test processes. Tests may copy it, but must not change it."""
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
def browser() -> Iterator[object]:
    """Chromium of the system; tests that need it are skipped without it."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium not found")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def database(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """An empty MLflow database, because creating one takes seconds and copying takes none."""

    def fill(folder: Path) -> None:
        from exeunt.sweep.tracking.writer import create_database

        create_database(folder / "mlflow.db")

    return made_once("database", fill) / "mlflow.db"
