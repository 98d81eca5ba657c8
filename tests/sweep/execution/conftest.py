"""Workers that die or stand still at a certain moment, and processes that take a moment to vanish."""

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
IN_A_WORKER = Path(sys.argv[0]).name == "default_worker.py"  # the driver may be the process of the tests


def watch(event, arguments):
    if event == "os.rename" and Path(os.fsdecode(arguments[1])).name == "result.json":
        try:
            Path({mark!r}).touch(exist_ok=False)
        except FileExistsError:  # another worker was there first
            return
        os.kill(os.getpid(), signal.{signal})
        time.sleep(3600)  # until the signal has come to this thread


if IN_A_WORKER:
    sys.addaudithook(watch)
"""


@dataclass(frozen=True, kw_only=True)
class LastMoment:
    """The instant before a trial's result appears, when its weights are there."""

    plugin: Path
    """With which the first worker that comes to it gets a signal."""
    reached: Path
    """A file that is there from then on; without it there is a first one again."""


@pytest.fixture
def last_moment(tmp_path: Path) -> Callable[[signal.Signals], LastMoment]:
    """Where a worker gets this signal."""

    def make(number: signal.Signals) -> LastMoment:
        moment = LastMoment(plugin=tmp_path / "last_moment.py", reached=tmp_path / "reached")
        moment.plugin.write_text(PLUGIN.format(mark=str(moment.reached), signal=number.name))
        return moment

    return make


@pytest.fixture
def gone() -> Callable[[Iterable[int]], bool]:
    """Whether none of these processes is left after a few seconds, which a killed one may take."""

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
