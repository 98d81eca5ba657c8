"""Programs that train the same grid: how each is started, resumed and extended, and where its results are."""

import importlib.metadata
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resume_page import TITLES

PROGRAMS = Path(__file__).parent / "killed"
sys.path.insert(0, str(PROGRAMS))

import event_log  # noqa: E402 (a module of the programs that are killed)

Space = dict[str, list[Any]]

SWEEP = """\
name: resume
dataset: digits@20%
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
        title=TITLES["exeunt"], packages=("exeunt",), command=exeunt_command, results=exeunt_results, sources=()
    ),
    "ray": Program(
        title=TITLES["ray"],
        packages=("ray",),
        command=ray_command,
        results=written_results,
        sources=("ray_tune.py", TRAINING),
    ),
    "hydra": Program(
        title=TITLES["hydra"],
        packages=("hydra-core", "hydra-joblib-launcher"),
        command=hydra_command,
        results=hydra_results,
        sources=("hydra_joblib.py", "hydra_joblib.yaml", TRAINING),
    ),
    "optuna": Program(
        title=TITLES["optuna"],
        packages=("optuna",),
        command=optuna_command,
        results=written_results,
        sources=("optuna_alone.py", TRAINING),
    ),
}


def lines_to_resume(program: Program) -> int:
    """Return the number of lines that a user writes only so that the grid can be resumed."""
    text = "\n".join((PROGRAMS / name).read_text(encoding="utf-8") for name in program.sources)
    return len(re.findall(r"# resume$", text, flags=re.MULTILINE))


def missing_packages(program: Program) -> list[str]:
    """Return the packages of a program that are not installed."""
    installed = {distribution.name.lower().replace("_", "-") for distribution in importlib.metadata.distributions()}
    return [package for package in program.packages if package not in installed]
