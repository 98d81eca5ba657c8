"""Comparison of what a kill costs: the same grid in Exeunt, plain Ray Tune, Hydra with joblib, and Optuna alone.

Each program trains 2 settings x 3 seeds, two at a time. All its processes are killed (SIGKILL) at a seeded moment. Then
it is resumed in the documented way, and run again with a third setting. A log that each training writes gives the
epochs that were trained again. Digests of the weights are compared with those of an uninterrupted run.

Hydra is not a dependency of Exeunt. To include it, run this program in an environment that also has `hydra-core` and
`hydra-joblib-launcher`. The outcomes are written to resume.csv; benchmarks/resume_page.py makes a table of them.
"""

import argparse
import csv
import datetime
import importlib.metadata
import importlib.util
import json
import os
import platform
import random
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from memory import descendants
from resume_page import OUTCOMES, recorded
from resume_programs import COMPARED, PROGRAMS, Program, Space, event_log, lines_to_resume, missing_packages

SEEDS = [0, 1, 2]
FIRST: Space = {"smoothing": [0.05, 0.1], "seed": SEEDS}
EXTENDED: Space = {"smoothing": [0.05, 0.1, 0.2], "seed": SEEDS}
PAUSE_S = 12
"""Pause between kill and resumption; above the grace period after which Optuna retries a trial without heartbeat."""
TIMEOUT_S = 1200


def trials_of(space: Space) -> set[str]:
    """Return the names of the trials of a grid."""
    return {event_log.trial_name(*values) for values in product(space["smoothing"], space["seed"])}


def start(program: Program, directory: Path, space: Space) -> subprocess.Popen[bytes]:
    """Start a program. Its output is appended to a file in its directory."""
    command = program.command(directory, space)
    (directory / "results.json").unlink(missing_ok=True)
    known = {event_log.LOG: str(directory / "events.jsonl"), "PYTHONPATH": str(PROGRAMS)}
    with (directory / "output.txt").open("ab") as output:
        return subprocess.Popen(command, cwd=directory, env=os.environ | known, stdout=output, stderr=output)


def complete(program: Program, directory: Path, space: Space) -> int:
    """Run a program to its end and return its exit status."""
    process = start(program, directory, space)
    try:
        return process.wait(TIMEOUT_S)
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all its descendants, which are stopped first, so that they start no others meanwhile."""
    stopped: list[int] = []
    while process.poll() is None and (new := [p for p in [process.pid, *descendants(process.pid)] if p not in stopped]):
        for pid in new:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        stopped += new
    for pid in stopped:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def epoch_times(directory: Path) -> list[float]:
    """Return the ends of epochs in the log of a directory, in seconds since 1970."""
    return [event.time for event in event_log.read(directory / "events.jsonl") if event.name == "epoch"]


def kill_at(program: Program, directory: Path, epochs: int, share: float) -> None:
    """Run the first grid, and kill it after this number of epochs and this share of the mean time between two ends.

    Raises:
        RuntimeError: if the program ends before.
    """
    process = start(program, directory, FIRST)
    deadline = time.monotonic() + TIMEOUT_S
    try:
        while (
            len(trained := [e.time for e in event_log.read(directory / "events.jsonl") if e.name == "epoch"]) < epochs
        ):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{program.title} ended before it was killed: see {directory / 'output.txt'}")
            time.sleep(0.02)
        time.sleep(share * (trained[-1] - trained[0]) / (len(trained) - 1))
    finally:
        kill(process)


def outcome(program: Program, directory: Path, reference: dict[str, str], moment: random.Random) -> dict[str, Any]:
    """Kill, resume and extend a grid once, and return what it repeated, lost or changed."""
    os.environ[event_log.LOG] = str(directory / "events.jsonl")
    first = trials_of(FIRST)
    total = len(first) * event_log.EPOCHS
    epochs, share = moment.randint(total // 4, 3 * total // 4), moment.random()
    kill_at(program, directory, epochs, share)
    time.sleep(PAUSE_S)
    event_log.write("resumed")
    statuses = [complete(program, directory, FIRST)]
    resumed = program.results(directory)
    event_log.write("added")
    statuses.append(complete(program, directory, EXTENDED))
    events = event_log.read(directory / "events.jsonl")
    counts = event_log.count(events, resumed, program.results(directory), reference, first)
    return {"killed_after": epochs, "statuses": " ".join(map(str, statuses)), **asdict(counts)}


def reference_of(program: Program, directory: Path) -> dict[str, str]:
    """Return the digests of one uninterrupted run of the extended grid; it is run if the directory does not have it.

    Raises:
        RuntimeError: if a trial has no result.
    """
    if not directory.exists():
        directory.mkdir(parents=True)
        complete(program, directory, EXTENDED)
    reference = program.results(directory)
    if reference.keys() != trials_of(EXTENDED):
        raise RuntimeError(f"{program.title} did not complete the grid without a kill: see {directory / 'output.txt'}")
    return reference


def compare(name: str, moments: list[int], directory: Path) -> None:
    """Add the outcomes of a program to resume.csv, one for each seed of a moment."""
    program = COMPARED[name]
    if missing := missing_packages(program):
        print(f"{program.title}: skipped; not installed: {', '.join(missing)}")
        return
    reference = reference_of(program, directory / f"{name}-whole")
    for seed in moments:
        repetition = directory / f"{name}-{seed}"
        repetition.mkdir()
        row = {
            "program": name,
            "moment": seed,
            "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
            "versions": ", ".join(f"{package} {importlib.metadata.version(package)}" for package in program.packages),
            "python": platform.python_version(),
            "torch": importlib.metadata.version("torch"),
            "lines": lines_to_resume(program),
            **outcome(program, repetition, reference, random.Random(seed)),
        }
        print(json.dumps(row), flush=True)
        keep({key: str(value) for key, value in row.items()})


def keep(row: dict[str, str]) -> None:
    """Record an outcome in place of the one of the same program and moment."""
    identity = row["program"], row["moment"]
    others = [other for other in recorded() if (other["program"], other["moment"]) != identity]
    rows = sorted([*others, row], key=lambda row: (list(COMPARED).index(row["program"]), int(row["moment"])))
    with OUTCOMES.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Run the programs and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", nargs="+", choices=COMPARED, default=list(COMPARED), help="default: all")
    parser.add_argument("--moments", nargs="+", type=int, default=[0, 1, 2], help="seeds of the kills (default: 0 1 2)")
    parser.add_argument("--directory", type=Path, help="where the runs are kept (default: a temporary directory)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.programs:
            compare(name, options.moments, (options.directory or Path(temporary)).resolve())


if __name__ == "__main__":
    main()
