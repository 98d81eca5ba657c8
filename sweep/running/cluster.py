"""The Ray that trials run on."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ray

LIKE_TUNE = {"PL_DISABLE_FORK": "1"}
"""What Tune sets for its trials: with the same from the start they get workers that Ray has started already."""


@contextmanager
def embedded_ray() -> Iterator[Callable[[], None]]:
    """A Ray of our own on this machine, which says nothing itself, started while the caller goes on.

    Yields a function that waits until Ray can be used, and raises what went wrong if it cannot.
    """
    cores = len(os.sched_getaffinity(0))
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are shown by the board, in a line each
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # the trial store has all that they would write
    # Tune starts one trial at a time unless told how many may be starting at once.
    os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", str(cores))
    problems: list[Exception] = []
    started, finished = threading.Event(), threading.Event()

    def start() -> None:
        try:
            ray.init(
                address="local",
                num_cpus=cores,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": LIKE_TUNE},
            )
        except Exception as error:  # handed to the thread that waits
            problems.append(error)
        started.set()
        finished.wait()  # Ray's processes die with the thread that started them

    threading.Thread(target=start, name="ray", daemon=True).start()

    def ready() -> None:
        started.wait()
        if problems:
            raise problems[0]

    try:
        yield ready
    finally:
        started.wait()
        ray.shutdown()
        finished.set()
