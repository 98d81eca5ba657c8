"""A Ray worker is told to go: by SIGTERM, when its machine is about to, or by the driver's bell.

A trial runs in a thread there, and only the main thread can heed signals. Ray's own handler, which ends the process,
is set after a `worker_process_setup_hook` has run (ray 2.60), but before a worker prepares for its first trial.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ray import tune
from ray.tune.trainable import wrap_function

from .bell import Bell

_training = threading.Event()
_arrived = threading.Event()


PATIENCE = 600
"""Seconds for a trial that was stopped early to leave the worker to the next; it has written its checkpoint before."""


def heeding(trial: Callable[[dict[str, Any]], None], bell: Bell) -> type[tune.Trainable]:
    """The function as something that Ray Tune runs, in workers that heed SIGTERM and the bell."""

    class Heeding(wrap_function(trial)):
        def setup(self, config: dict[str, Any]) -> None:
            os.environ.setdefault("TUNE_FUNCTION_THREAD_TIMEOUT_S", str(PATIENCE))  # else the next trial would fail
            _heed_sigterm()
            bell.listen(_go)
            super().setup(config)

    return Heeding


def _go() -> None:  # a name that the class can refer to: it is pickled whole
    _arrived.set()


def _heed_sigterm() -> None:
    """While the worker trains, SIGTERM is noted, otherwise it does what it did before."""
    before = signal.getsignal(signal.SIGTERM)

    def heed(number: int, frame: FrameType | None) -> None:
        if _training.is_set():
            _arrived.set()
        elif callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, heed)


@contextmanager
def told_to_go() -> Iterator[Callable[[], bool]]:
    """Trains inside; yields what says whether SIGTERM has arrived, or the bell rung."""
    _training.set()
    try:
        yield _arrived.is_set
    finally:
        _training.clear()
