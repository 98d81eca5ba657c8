"""Fixtures to kill or stop a worker just before its result, and to wait until processes have ended."""

import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

PLUGIN = """\
import os
import signal
import sys
import time
from pathlib import Path

from exeunt.models import architectures

architectures.register("own8")(architectures["resnet8"])  # a plugin has to register something
IN_A_WORKER = Path(sys.argv[0]).name == "default_worker.py"  # the driver may be the test process


def watch(event, arguments):
    if event == "os.rename" and Path(os.fsdecode(arguments[1])).name == "result.json":
        try:
            Path({mark!r}).touch(exist_ok=False)
        except FileExistsError:  # another worker was there first
            return
        os.kill(os.getpid(), signal.{signal})
        while Path({mark!r}).exists():  # unless the signal ends this process
            time.sleep(0.05)


if IN_A_WORKER:
    sys.addaudithook(watch)
"""


@dataclass(frozen=True, kw_only=True)
class LastMoment:
    """Moment between a trial's weights and its result."""

    plugin: Path
    """Plugin that sends a signal to the first worker that reaches the moment; SIGCONT only makes it wait."""
    reached: Path
    """File that marks that a worker has reached the moment; delete it to let this worker go on, or to repeat."""


@pytest.fixture
def last_moment(tmp_path: Path) -> Callable[[signal.Signals], LastMoment]:
    """Return a function that makes a `LastMoment` with a signal."""

    def make(number: signal.Signals) -> LastMoment:
        moment = LastMoment(plugin=tmp_path / "last_moment.py", reached=tmp_path / "reached")
        moment.plugin.write_text(PLUGIN.format(mark=str(moment.reached), signal=number.name))
        return moment

    return make


@pytest.fixture
def gone() -> Callable[[Iterable[int]], bool]:
    """Return a function that waits for processes to end and returns True if they end within seconds."""

    def wait(pids: Iterable[int]) -> bool:
        pids = list(pids)
        patience = time.monotonic() + 10
        while any(map(_runs, pids)):
            if time.monotonic() > patience:
                return False
            time.sleep(0.05)
        return True

    return wait


def _runs(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
