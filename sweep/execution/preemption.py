"""A Ray worker is told to go: by SIGTERM, when its machine is about to, or by the stop event.

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

from .stop_event import StopEvent

_training = threading.Event()
_arrived = threading.Event()


STOP_TIMEOUT_S = 600
"""Seconds for a trial that was stopped early to leave the worker to the next; it has written its checkpoint before."""


def with_stop_event(trial: Callable[[dict[str, Any]], None], stop_event: StopEvent) -> type[tune.Trainable]:
    """The function as something that Ray Tune runs, in workers that heed SIGTERM and the event."""

    class Heeding(wrap_function(trial)):
        def setup(self, config: dict[str, Any]) -> None:
            os.environ.setdefault(
                "TUNE_FUNCTION_THREAD_TIMEOUT_S", str(STOP_TIMEOUT_S)
            )  # else the next trial would fail
            _heed_sigterm()
            stop_event.on_set(_go)
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
def stop_requested() -> Iterator[Callable[[], bool]]:
    """Trains inside; yields what says whether SIGTERM has arrived, or the event was set."""
    _training.set()
    try:
        yield _arrived.is_set
    finally:
        _training.clear()
