"""Comparison of what a kill costs: the same grid in Exeunt, plain Ray Tune, Hydra with joblib, and Optuna alone.

Each program trains 2 settings x 3 seeds, two at a time. All its processes are killed (SIGKILL) at a seeded moment. Then
it is resumed as its documentation says, and run again with a third setting. A log that each training writes gives the
epochs that were trained again. Digests of the weights are compared with those of an uninterrupted run.

Hydra is not a dependency of Exeunt. To include it, run this program in an environment that also has `hydra-core` and
`hydra-joblib-launcher`. The outcomes are written to resume.csv, and their table to docs/comparison.md.
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
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from memory import descendants

HERE = Path(__file__).parent
PROGRAMS = HERE / "killed"
OUTCOMES = HERE / "resume.csv"
PAGE = HERE.parent / "docs" / "comparison.md"
sys.path.insert(0, str(PROGRAMS))

import event_log  # noqa: E402 (a module of the programs that are killed)

Space = dict[str, list[Any]]

SEEDS = [0, 1, 2]
FIRST: Space = {"smoothing": [0.05, 0.1], "seed": SEEDS}
EXTENDED: Space = {"smoothing": [0.05, 0.1, 0.2], "seed": SEEDS}
PAUSE_S = 12
"""Pause between kill and resumption; above the grace period after which Optuna retries a trial without heartbeat."""
TIMEOUT_S = 1200
SWEEP = """\
name: resume
dataset: digits
architectures: [resnet8]
seeds: {seeds}
recipe: {{base: fast, epochs: {epochs}, batch_size: 32, learning_rate: 0.1, crop: none, flip: false}}
methods:
  logged_smoothing: {{smoothing: {smoothing}}}
"""


@dataclass(frozen=True, kw_only=True)
class Program:
    """Program that trains a grid."""

    title: str
    packages: tuple[str, ...]
    """Packages whose versions are reported."""
    command: Callable[[Path, Space], list[str]]
    """Command that starts or resumes a grid in a directory, or runs it with another axis."""
    results: Callable[[Path], dict[str, str]]
    """Digests of the weights in a directory, by trial."""
    sources: tuple[str, ...]
    """Files of the user, in which lines that only serve to resume end with the comment `resume`."""


def exeunt_command(directory: Path, space: Space) -> list[str]:
    """Write the sweep file and return the command."""
    file = directory / "resume.yaml"
    file.write_text(SWEEP.format(seeds=space["seed"], smoothing=space["smoothing"], epochs=event_log.EPOCHS))
    plugin = ["--plugin", str(PROGRAMS / "exeunt_plugin.py"), "--no-try"]  # a step that is tried is no training
    command = [str(Path(sys.executable).parent / "exeunt"), "sweep", str(file), *plugin]
    return [*command, "--storage", str(directory / "runs"), "--max-concurrent", "2"]


def exeunt_results(directory: Path) -> dict[str, str]:
    """Return the digests of completed trials in the storage."""
    digests = {}
    for path in (directory / "runs" / "trials").glob("*/result.json"):
        spec, result = (json.loads((path.parent / name).read_text()) for name in ("spec.json", "result.json"))
        if result["state"] == "done":
            digests[event_log.trial_name(spec["method"]["smoothing"], spec["seed"])] = result["weights"]
    return digests


def ray_command(directory: Path, space: Space) -> list[str]:
    """Return the command; `Tuner.restore` accepts no other grid, so each grid is an experiment."""
    experiment = f"{len(space['smoothing'])}-settings"
    return [sys.executable, str(PROGRAMS / "ray_tune.py"), str(directory), experiment, json.dumps(space)]


def hydra_command(directory: Path, space: Space) -> list[str]:
    """Return the command."""
    axes = [f"{name}={','.join(map(str, values))}" for name, values in space.items()]
    program = [sys.executable, str(PROGRAMS / "hydra_joblib.py"), "--multirun", *axes]
    return [*program, f"hydra.sweep.dir={directory / 'jobs'}"]


def hydra_results(directory: Path) -> dict[str, str]:
    """Return the digests in the files that the jobs have written."""
    results = [json.loads(path.read_text()) for path in (directory / "jobs").glob("*/result.json")]
    return {result["trial"]: result["weights"] for result in results}


def optuna_command(directory: Path, space: Space) -> list[str]:
    """Return the command."""
    return [sys.executable, str(PROGRAMS / "optuna_alone.py"), str(directory), json.dumps(space)]


def written_results(directory: Path) -> dict[str, str]:
    """Return the digests that a program has written at its end; none if it has not reached it."""
    path = directory / "results.json"
    return json.loads(path.read_text()) if path.exists() else {}


TRAINING = "digits_training.py"
COMPARED = {
    "exeunt": Program(
        title="Exeunt", packages=("exeunt",), command=exeunt_command, results=exeunt_results, sources=()
    ),
    "ray": Program(
        title="Ray Tune",
        packages=("ray",),
        command=ray_command,
        results=written_results,
        sources=("ray_tune.py", TRAINING),
    ),
    "hydra": Program(
        title="Hydra with joblib",
        packages=("hydra-core", "hydra-joblib-launcher"),
        command=hydra_command,
        results=hydra_results,
        sources=("hydra_joblib.py", "hydra_joblib.yaml", TRAINING),
    ),
    "optuna": Program(
        title="Optuna",
        packages=("optuna",),
        command=optuna_command,
        results=written_results,
        sources=("optuna_alone.py", TRAINING),
    ),
}


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


def kill_at(program: Program, directory: Path, epochs: int, share: float) -> None:
    """Run the first grid, and kill it after this number of epochs and this share of the mean time between two ends.

    Raises:
        RuntimeError: if the program ends before.
    """
    process = start(program, directory, FIRST)
    deadline = time.monotonic() + TIMEOUT_S
    try:
        while len(trained := [e.time for e in event_log.read(directory / "events.jsonl") if e.name == "epoch"]) < epochs:
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


def lines_to_resume(program: Program) -> int:
    """Return the number of lines that a user writes only so that the grid can be resumed."""
    text = "\n".join((PROGRAMS / name).read_text(encoding="utf-8") for name in program.sources)
    return len(re.findall(r"# resume$", text, flags=re.MULTILINE))


def missing_packages(program: Program) -> list[str]:
    """Return the packages of a program that are not installed."""
    installed = {distribution.name.lower().replace("_", "-") for distribution in importlib.metadata.distributions()}
    return [package for package in program.packages if package not in installed]


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


def recorded(path: Path = OUTCOMES) -> list[dict[str, str]]:
    """Return the recorded outcomes."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


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
