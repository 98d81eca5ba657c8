"""Workers that stop on request: on SIGTERM, before their node is preempted, or when the driver sets the stop event.

A trial runs in a thread of its worker, and only the main thread can handle signals. Ray's own handler, which ends
the process, is set after a `worker_process_setup_hook` has run (ray 2.60), but before a worker prepares for its first
trial.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from .stop_event import StopEvent

_training = threading.Event()
_arrived = threading.Event()


def prepare_worker(stop_event: StopEvent) -> None:
    """Make this worker stop its trial on SIGTERM and when the event is set."""
    heed_sigterm()
    stop_event.on_set(_arrived.set)


def heed_sigterm() -> None:
    """Record SIGTERM while the worker trains; at other times, leave it to the handler that was set before."""
    before = signal.getsignal(signal.SIGTERM)

    def heed(number: int, frame: FrameType | None) -> None:
        if _training.is_set():
            _arrived.set()
        elif callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, heed)


@contextmanager
def stop_requested() -> Iterator[Callable[[], bool]]:
    """Mark this worker as training inside the context; yield a function that returns whether to stop."""
    _training.set()
    try:
        yield _arrived.is_set
    finally:
        _training.clear()
