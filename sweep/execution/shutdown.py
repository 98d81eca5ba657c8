"""Requests to end a sweep before its trials are completed: Ctrl-C, SIGTERM, used-up time budget, storage failure."""

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TimeBudgetExceeded(Exception):
    """End of a sweep's time budget with unfinished trials."""


class Shutdown:
    """A request to end the sweep, with its cause. A second signal ends it at once, as a `KeyboardInterrupt`."""

    def __init__(self, seconds: float = math.inf) -> None:
        """Start the time budget of `seconds`."""
        self._end = time.monotonic() + seconds
        self._cause: BaseException | None = None

    def is_requested(self) -> bool:
        """Return True if the sweep must shut down."""
        if time.monotonic() >= self._end:
            self.request(TimeBudgetExceeded())
        return self._cause is not None

    def request(self, cause: BaseException) -> None:
        """Request the end of the sweep; the first cause is kept."""
        self._cause = self._cause or cause

    def outcome(self) -> BaseException:
        """Return the exception to raise after the shutdown."""
        return self._cause or KeyboardInterrupt()

    @contextmanager
    def on_budget(self) -> Iterator[None]:
        """Raise `TimeBudgetExceeded` inside the context when the time budget ends, also during a wait.

        It has no effect without a budget, and outside of the main thread.
        """
        if self._end == math.inf or threading.current_thread() is not threading.main_thread():
            yield
            return

        def end(number: int, frame: FrameType | None) -> None:
            del number, frame
            raise TimeBudgetExceeded

        before = signal.signal(signal.SIGALRM, end)
        signal.setitimer(signal.ITIMER_REAL, max(self._end - time.monotonic(), 1e-6))
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Request a shutdown at the first signal and ignore all after the second. Main thread only."""
        before = {number: signal.getsignal(number) for number in SIGNALS}
        at_once = False

        def heed(number: int, frame: FrameType | None) -> None:
            del number, frame
            if not isinstance(self._cause, KeyboardInterrupt):
                self._cause = KeyboardInterrupt()
                return
            nonlocal at_once
            at_once = True
            for each in SIGNALS:
                signal.signal(each, signal.SIG_IGN)
            raise KeyboardInterrupt

        for number in SIGNALS:
            signal.signal(number, heed)
        try:
            yield
        finally:
            if not at_once:
                for number, handler in before.items():
                    signal.signal(number, handler)
