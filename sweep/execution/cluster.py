"""Connection to the Ray that trials run on: a local Ray on this machine, or a cluster."""

import logging
import math
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from ...specs import SpecError, masked
from ..machine import long_socket_path, usable_cpus
from ..planning.resources import Resources
from ..terminal.counts import counted
from .ports import answers
from .runtime_env import packed
from .shutdown import TimeBudgetExceeded

PRELOAD = f"{__package__}.preload"
"""Module that prestarted workers import."""
NVIDIA_DRIVER = Path("/dev/nvidiactl")
"""Device file that exists if NVIDIA's driver is loaded."""

INTERRUPTED_START_S = 5.0
"""Time limit for Ray to start after Ctrl-C or the end of the time budget.

Ctrl-C ends some of its processes, which Ray notices only after minutes.
"""

ON_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Variable that makes a local Ray listen on loopback only, if it is 0 before Ray is imported (ray 2.60, also Linux)."""


def ray_at(
    address: str | None,
    *,
    trials: float = math.inf,
    resources: Sequence[Resources] = (Resources(),),
    wait_for: Callable[[str], None] = lambda what: None,  # noqa: ARG005
) -> AbstractContextManager[Callable[[], None]]:
    """Return a context that connects to a cluster; without an address, to this process's Ray or a new local Ray.

    The context yields a function that waits until Ray is ready, and raises `SpecError` if Ray does not start. A Ray
    that this process was already connected to keeps running after the context.

    Args:
        address: address of a cluster, or None.
        trials: maximum number of trials at a time; a new local Ray gets no more CPUs than they can use.
        resources: the different resources of the trials.
        wait_for: function that is called with the name of what this process begins to wait for.
    """
    if address is not None:
        return _cluster_ray(address, wait_for)
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        return _present_ray()
    most = max(one.cores for one in resources)
    cpus = int(min(usable_cpus(), trials * most))
    on_gpu = any(NVIDIA_DRIVER.exists() if one.gpu is None else one.gpu != 0 for one in resources)
    return _embedded_ray(cpus, wait_for, preload=most == 1 and not on_gpu)


@contextmanager
def _present_ray() -> Iterator[Callable[[], None]]:
    """Use the Ray that this process is connected to, such as a notebook's."""
    yield lambda: None


@contextmanager
def _embedded_ray(cpus: int, wait_for: Callable[[str], None], *, preload: bool) -> Iterator[Callable[[], None]]:
    """Start a local Ray, without output, in a thread while the caller continues.

    Ray starts a worker for each CPU. With `preload`, each loads PyTorch at once; it should be set only if each worker
    gets a trial, since a loaded worker needs more memory.
    """
    if (problem := long_socket_path()) is not None:
        raise SpecError(f"Ray cannot start on this machine: {problem.what}. To change it, {problem.remedy}")
    os.environ.setdefault(ON_LOOPBACK, "0")
    import ray  # noqa: PLC0415 (it reads the environment when it is imported)

    # By default, Ray ends an idle worker once a trial reserves its CPU, just before the trial needs one (ray 2.60).
    settings: dict[str, Any] = {"num_workers_soft_limit": cpus}
    if preload:
        settings["preload_python_modules"] = [PRELOAD]
    problems: list[BaseException] = []
    started, finished = threading.Event(), threading.Event()

    def start() -> None:
        try:
            with _few_processes():
                ray.init(
                    address="local",
                    num_cpus=cpus,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    _system_config=settings,
                )
        except BaseException as error:  # raised in the thread that waits; Ray also exits with SystemExit
            problems.append(error)
        started.set()
        finished.wait()  # Ray's processes die with the thread that started them

    threading.Thread(target=start, name="ray", daemon=True).start()

    def ready() -> None:
        wait_for(f"Ray to start on this machine with {counted(cpus, 'CPU')}")
        started.wait()
        if problems:
            said = str(problems[0]).strip().partition("\n")[0].rstrip(".") or type(problems[0]).__name__
            advice = "Free memory, disk space or CPU time on this machine, then run the same command again"
            raise SpecError(f"Ray did not start on this machine: {said}. {advice}.", field="address") from problems[0]
        from .tune import use_prestarted_workers  # noqa: PLC0415 (Tune is imported while Ray starts)

        use_prestarted_workers()

    patience = None
    try:
        yield ready
    except (KeyboardInterrupt, TimeBudgetExceeded):
        patience = INTERRUPTED_START_S
        raise
    finally:
        if started.wait(patience):
            ray.shutdown()
            finished.set()
        else:
            _kill_descendants()


def _kill_descendants() -> None:
    """Kill all processes that this process started, because some outlive a Ray whose start was interrupted."""
    import psutil  # noqa: PLC0415  # pyright: ignore[reportMissingModuleSource] (Ray brings it and adds it to the path)

    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.kill()


@contextmanager
def _few_processes() -> Iterator[None]:
    """Let `ray.init` leave out processes that a local Ray does not need, for which it has no arguments (ray 2.60).

    These are the API server, the autoscaler and the reader of logs. Ray waits seconds for the first before it starts
    the processes that run tasks. The dashboard's agent is the small one of an installation without a dashboard.
    """
    from ray._private import utils  # noqa: PLC0415 (Ray is imported after its environment is set)
    from ray._private.node import Node  # noqa: PLC0415

    with ExitStack() as changes:

        def change(owner: object, name: str, replacement: Callable[..., object]) -> None:
            changes.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, replacement)

        for name in ("start_api_server", "start_monitor", "start_log_monitor"):
            change(Node, name, lambda self, **_: setattr(self, "_webui_url", None))
        change(utils, "get_dashboard_dependency_error", lambda: ImportError("no dashboard"))
        yield


@contextmanager
def _cluster_ray(address: str, wait_for: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Connect to a cluster and send it this package, so that all nodes run the same code.

    Raises:
        SpecError: if no cluster answers at the address, or if it rejects the connection.
    """
    if address != "auto" and not answers(address):  # Ray itself would try for two minutes (2.60)
        raise _refusal(address, "no Ray process listens there")
    import ray  # noqa: PLC0415 (a local Ray needs its environment before the import)
    from ray.exceptions import RayError  # noqa: PLC0415

    wait_for(f"the Ray cluster at {address}")
    with packed() as package, _native_errors() as told:
        is_job = "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ  # which has already sent the package
        environment = {} if is_job else {"working_dir": str(package)}
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, runtime_env=environment)
        except (ConnectionError, ValueError, RuntimeError, RayError) as error:
            raise _refusal(address, f"Ray reports: {error} {told()}".strip()) from error
    try:
        yield lambda: None
    finally:
        ray.shutdown()


def _refusal(address: str, said: str) -> SpecError:
    if any(sign in said for sign in ("InvalidAuthToken", "Authentication", "auth_token")):
        mode = os.environ.get("RAY_AUTH_MODE")
        advice = (
            "the cluster requires an authentication token, and this process has none or a different one. On every "
            "machine, set RAY_AUTH_MODE=token and set RAY_AUTH_TOKEN_PATH to a file with the cluster's token, which "
            f"`ray get-auth-token` prints. Here, RAY_AUTH_MODE is {repr(mode) if mode else 'not set'}."
        )
    elif address == "auto":
        advice = "no cluster runs on this machine. Start one with `ray start`, or use --address HOST:6379."
    else:
        advice = f"{said}. Check the cluster with `ray status --address HOST:PORT` on its head node."
    return SpecError(masked(f"--address {address}: {advice}", address), field="address")


@contextmanager
def _native_errors() -> Iterator[Callable[[], str]]:
    """Capture stderr, since Ray's compiled code reports the cause of a failure only there."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "stderr"
        before = os.dup(2)
        with kept.open("wb") as file:
            os.dup2(file.fileno(), 2)
        try:
            yield lambda: kept.read_text(errors="replace")[-2000:]
        finally:
            os.dup2(before, 2)
            os.close(before)
