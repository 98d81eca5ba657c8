"""Stages as child processes with time limits; a stage that fails or hangs does not stop the next one.

The children are forked from a process that has imported PyTorch and has never used the GPU, since an import takes
seconds and a stage may need many processes.
"""

import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from .page import records, write_page
from .settings import Notes, Settings, SkippedError, described
from .stages import ddp, facts, graphs, no_wait, numbers, science, sharing, speed, tests

END_S = 10
"""Seconds that are kept for the end of the check."""
PATIENCE = 10
"""Factor of the limits in a rehearsal."""
LITTLE_S = 5
"""Seconds below which no further stage starts."""


class Stage(NamedTuple):
    """A part of the check, and its time limit in seconds."""

    run: Callable[[Settings, Notes], None]
    limit_s: float


STAGES = {
    "facts": Stage(facts.run, 15),
    "tests": Stage(tests.run, 70),
    "no-wait": Stage(no_wait.run, 50),
    "numbers": Stage(numbers.run, 45),
    "graphs": Stage(graphs.run, 85),
    "speed": Stage(speed.run, 90),
    "sharing": Stage(sharing.run, 45),
    "science": Stage(science.run, 120),
    "ddp": Stage(ddp.run, 20),
}
"""Stages in their order: correctness before speed, and the cheapest first."""


def check(settings: Settings, names: Sequence[str], *, seconds: float) -> int:
    """Run stages, write check.jsonl and check.md, and return the exit status: 1 if a stage failed.

    Args:
        settings: settings of every stage.
        names: names of the stages.
        seconds: time limit of the whole.
    """
    path = settings.out / "check.jsonl"
    path.write_text("")
    (settings.out / "logs").mkdir(exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    deadline = time.monotonic() + seconds - settings.size(END_S, 0)
    try:
        for name in names:
            limit = min(settings.size(1, PATIENCE) * STAGES[name].limit_s, deadline - time.monotonic())
            notes = Notes(path, name, max(limit, LITTLE_S))
            if limit < LITTLE_S:
                notes.end("SKIP", "no time is left")
            else:
                _run(name, settings, notes, limit)
            last = records(path)[-1]
            print(f"{name:8} {last['verdict']:4} {last['seconds']:6.1f} s  {last['reason']}", flush=True)
    finally:
        verdict = write_page(settings.out, rehearsed=settings.rehearse)
    print(verdict, f"See {settings.out / 'check.md'}.", sep="\n")
    return int(any(record.get("verdict") == "FAIL" for record in records(path)))


def _run(name: str, settings: Settings, notes: Notes, limit: float) -> None:
    """Run a stage in a child process; end it and its children after the limit."""
    child = multiprocessing.get_context("fork").Process(target=_stage, args=(name, settings, notes))
    child.start()
    try:
        child.join(limit)
        if child.is_alive():
            notes.end("FAIL", f"not completed within its limit of {limit:.0f} s")
        elif child.exitcode:
            notes.end("FAIL", f"its process ended with status {child.exitcode}; see logs/{name}.log")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid or 0, signal.SIGKILL)  # the child leads a group, with the processes that it starts
        child.kill()
        child.join()


def _stage(name: str, settings: Settings, notes: Notes) -> None:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    log = os.open(settings.out / "logs" / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    try:
        STAGES[name].run(settings, notes)
    except SkippedError as skipped:
        notes.end("SKIP", str(skipped))
    except Exception as error:  # the next stage runs in any case
        traceback.print_exc()
        notes.end("FAIL", described(error))
    else:
        notes.end("FAIL" if notes.failed else "PASS", ", ".join(notes.failed))
