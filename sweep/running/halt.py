"""A sweep that is to end before its trials are done: Ctrl-C, SIGTERM, or no time left."""

import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Literal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class OutOfTime(Exception):  # noqa: N818 (asked for, not an error)
    """The time that a sweep was given is over, and trials are left."""


class Halt:
    """Whether to end, and why. A second signal ends at once, as a `KeyboardInterrupt`."""

    def __init__(self, seconds: float = math.inf) -> None:
        """Of a sweep that has so many seconds from now."""
        self._end = time.monotonic() + seconds
        self._reason: Literal["", "signal", "time"] = ""

    def wanted(self) -> bool:
        """Whether the sweep is to end."""
        if not self._reason and time.monotonic() >= self._end:
            self._reason = "time"
        return bool(self._reason)

    def outcome(self) -> KeyboardInterrupt | OutOfTime:
        """What to raise when the sweep has ended for that."""
        return OutOfTime() if self._reason == "time" else KeyboardInterrupt()

    @contextmanager
    def heeding_signals(self) -> Iterator[None]:
        """Inside, the first signal is noted; after the second none is heeded any more. Of the main thread."""
        before = {number: signal.getsignal(number) for number in SIGNALS}
        at_once = False

        def heed(number: int, frame: FrameType | None) -> None:
            del number, frame
            if self._reason != "signal":
                self._reason = "signal"
                return
            nonlocal at_once
            at_once = True
            for each in SIGNALS:
                signal.signal(each, signal.SIG_IGN)
            raise KeyboardInterrupt

        os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # Tune's would end the sweep without checkpoints
        for number in SIGNALS:
            signal.signal(number, heed)
        try:
            yield
        finally:
            if not at_once:
                for number, handler in before.items():
                    signal.signal(number, handler)
