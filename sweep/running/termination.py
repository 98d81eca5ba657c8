"""SIGTERM in a Ray worker: the machine is about to go.

A trial runs in a thread there, and only the main thread can heed signals. Ray's own handler, which ends the process,
is set after a `worker_process_setup_hook` has run (ray 2.60), but before a worker prepares for its first trial.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ray import tune
from ray.tune.trainable import wrap_function

_training = threading.Event()
_arrived = threading.Event()


def heeding_sigterm(trial: Callable[[dict[str, Any]], None]) -> type[tune.Trainable]:
    """The function as something that Ray Tune runs, in workers that heed SIGTERM."""

    class Heeding(wrap_function(trial)):
        def setup(self, config: dict[str, Any]) -> None:
            _heed_sigterm()
            super().setup(config)

    return Heeding


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
    """Trains inside; yields what says whether SIGTERM has arrived."""
    _training.set()
    try:
        yield _arrived.is_set
    finally:
        _training.clear()
