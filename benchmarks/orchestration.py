"""Benchmark of the overhead of a trial: 1,000 trials that train nothing, in a sweep and in plain Ray Tune.

With `--simulate`, measure the number of epochs per second that the driver of a large sweep can process. Ray Tune, the
store and MLflow are real. The workers are simulated and report at once.
"""

import argparse
import functools
import importlib
import io
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from exeunt.store import Record, Store, TrialFiles, hold_lease
from exeunt.sweep.execution.cluster import ray_at
from exeunt.sweep.execution.shutdown import Shutdown
from exeunt.sweep.planning.plan import SweepPlan, make_plan
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.terminal.progress import PlainBoard
from exeunt.training import DataSource, TrialSpec
from memory import peak_memory
from rich.console import Console
from rows import report

FILE = """\
name: orchestration
dataset: digits
architectures: [resnet8]
seeds: {seeds}
recipe: {{base: fast, epochs: {epochs}}}
methods:
  baseline: {{}}
  kd: {{teacher: self}}
"""
"""Sweep file; every second trial waits for its teacher."""
WORKERS = 256
SIMULATED = 40 * WORKERS
"""Number of trials of the simulation: about 10,000."""
EPOCHS = 10
"""Epochs of each simulated trial. They are few, so starts and ends of trials weigh more than in real sweeps."""
LONG = 200
"""Epochs of the trials in the measurement of MLflow."""
NEEDED = WORKERS / 10.0
"""Epochs per second of all workers, if each epoch takes ten seconds."""

MEMORY = {
    "the driver": ("driver", ", of 0.6 GB"),
    "the driver and Ray's processes without workers": ("without_workers", ", of 0.9 GB"),
    "all processes with the workers": ("everything", ""),
}
"""Measurements of memory, with their limits, by the processes that they include."""

Numbers = dict[str, float]


class Stopwatch(PlainBoard):
    """Board without output that records when trials start and end."""

    def __init__(self, plan: SweepPlan) -> None:
        """Start with all trials of a plan."""
        super().__init__(plan.trials, 0, Console(file=io.StringIO(), quiet=True))
        self.began: list[float] = []
        self.ended: list[float] = []

    def start(self, key: str, *, silently: bool = False) -> None:
        """Record the time and the start of a trial."""
        self.began.append(time.perf_counter())
        super().start(key, silently=silently)

    def end(self, key: str, *, problem: str = "", seconds: float = 0.0) -> None:
        """Record the time and the end of a trial. Raise `RuntimeError` if it failed."""
        if problem:
            raise RuntimeError(problem)
        self.ended.append(time.perf_counter())
        super().end(key, seconds=seconds)


def make(folder: str, trials: int, epochs: int) -> tuple[SweepPlan, Store]:
    """Return the plan and the store of a sweep with this number of distinct trials."""
    path = Path(folder) / "sweep.yaml"
    path.write_text(FILE.format(seeds=list(range(trials // 2)), epochs=epochs), encoding="utf-8")
    return make_plan(read_sweep(path)), Store(Path(folder) / "storage")


def launched(plan: SweepPlan, store: Store, replace: Callable[[Any], None]) -> Stopwatch:
    """Run a sweep like the command, after `replace` has patched the module that launches it."""
    board = Stopwatch(plan)
    with (
        hold_lease(store.sweep_directory(plan.name), plan.name) as driver,
        closing(board),
        ray_at(None) as ready,
    ):
        from exeunt.sweep.execution import runner  # noqa: PLC0415 (after Ray's environment is set)

        replace(runner)
        runner.launch(
            plan,
            store,
            DataSource(),
            board,
            ready,
            store.tracking_uri,
            driver=driver,
            shutdown=Shutdown(),
            most=math.inf,
        )
    return board


def train_nothing(
    trial: TrialSpec, files: TrialFiles, *, on_epoch: Callable[[Record], None], **settings: object
) -> Record:
    """Write the files of a training of one epoch, in the order of a real training."""
    import torch  # noqa: PLC0415 (in Ray's worker; the driver needs no PyTorch)
    from exeunt.training.checkpoints import serialized  # noqa: PLC0415
    from simulated import record_of, result_of  # noqa: PLC0415

    del settings
    weights = serialized({"weight": torch.zeros(1000)})
    record = record_of(1)
    result = result_of(trial.key, record)
    files.write_spec(trial.to_dict())
    files.checkpoints.write(weights, epoch=1, step=0)
    files.write_history([record])
    on_epoch(record)
    files.write_weights(weights)
    files.write_result(result)
    return result


def run_empty_trial(config: dict[str, Any], **where: Any) -> None:
    """Run Exeunt's worker without the training."""
    training: Any = importlib.import_module("exeunt.training")
    training.train = train_nothing
    importlib.import_module("exeunt.sweep.execution.worker").run_trial(config, **where)


def measure_sweep(trials: int, folder: str) -> Numbers:
    """Measure empty trials on Ray's workers."""

    def replace(runner: Any) -> None:
        runner.run_trial = run_empty_trial

    board = launched(*make(folder, trials, epochs=1), replace)
    return pace(board.began, board.ended)


def measure_tune(trials: int, folder: str) -> Numbers:
    """Measure a function that only reports once, with plain Ray Tune."""
    began: list[float] = []
    ended: list[float] = []
    with ray_at(None) as ready:
        from ray import tune  # noqa: PLC0415 (after Ray's environment is set)

        class Watch(tune.Callback):
            def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
                del iteration, trials, trial, info
                began.append(time.perf_counter())

            def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
                del iteration, trials, trial, info
                ended.append(time.perf_counter())

        def trial(config: dict[str, Any]) -> None:
            tune.report({"epoch": 1, "seed": config["seed"]})

        ready()
        tune.Tuner(
            tune.with_resources(trial, {"CPU": 1}),
            param_space={"seed": tune.grid_search(list(range(trials)))},
            tune_config=tune.TuneConfig(reuse_actors=True),
            run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[Watch()]),
        ).fit()
    return pace(began, ended)


def measure_simulation(trials: int, folder: str) -> Numbers:
    """Measure a driver whose workers report at once."""
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(WORKERS)  # as on a cluster with this number of cores
    plan, store = make(folder, trials, EPOCHS)

    def replace(runner: Any) -> None:
        del runner
        from ray.tune.execution import tune_controller  # noqa: PLC0415 (after Ray's environment is set)
        from simulated import Workers  # noqa: PLC0415

        workers = functools.partial(Workers, store=store, count=WORKERS, epochs=EPOCHS)
        tune_controller.RayActorManager = workers  # type: ignore[assignment, misc]

    board = launched(plan, store, replace)
    return pace(board.began, board.ended)


def measure_mirror(trials: int, folder: str) -> Numbers:
    """Measure the update of MLflow after one more epoch of each running trial."""
    from exeunt.sweep.tracking.writer import Mirror  # noqa: PLC0415 (MLflow takes seconds to load)
    from simulated import record_of  # noqa: PLC0415

    plan, store = make(folder, trials, LONG)
    mirror = Mirror(plan, store, store.tracking_uri)
    for epochs in (LONG - 1, LONG):
        for trial in plan.trials:
            store.trial(trial.key).write_history([record_of(epoch) for epoch in range(1, epochs + 1)])
        started = time.perf_counter()
        mirror.update(plan.trials)
    return {"trial": (time.perf_counter() - started) / trials}


def pace(began: list[float], ended: list[float]) -> Numbers:
    """Return the seconds per trial with several trials at a time: over all, the first tenth and the last tenth."""
    tenth = len(ended) // 10
    return {
        "trial": (ended[-1] - began[0]) / len(ended),
        "first": (ended[tenth] - ended[0]) / tenth,
        "last": (ended[-1] - ended[-1 - tenth]) / tenth,
    }


PROGRAMS = {
    "sweep": measure_sweep,
    "tune": measure_tune,
    "simulation": measure_simulation,
    "mirror": measure_mirror,
}


def measured(program: str, trials: int) -> Numbers:
    """Return the measurements of a program in a separate process."""
    command = [sys.executable, __file__, "--trials", str(trials), "--program", program]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1])


def run_here(program: str, trials: int) -> None:
    """Run a program, and print its measurements and the peak memory of its processes."""
    with tempfile.TemporaryDirectory() as folder, peak_memory() as peaks:
        numbers = PROGRAMS[program](trials, folder)
    print(json.dumps(numbers | peaks.to_dict()))


def report_overhead(trials: int) -> None:
    """Report the cost of empty trials in a sweep and in plain Ray Tune."""
    ours, plain = measured("sweep", trials), measured("tune", trials)
    name = f"orchestration: {trials} empty trials"
    beside = ours["trial"] / plain["trial"]
    report(f"{name}, each, of 0.25 s, beside plain Ray Tune", ours["trial"], "s", ratio=beside)
    report(f"{name}, of the last tenth, beside the first", ours["last"], "s", ratio=ours["last"] / ours["first"])
    for processes, (key, limit) in MEMORY.items():
        report(f"{name}, peak memory of {processes}{limit}", ours[key] / 1e9, "GB", ratio=ours[key] / plain[key])


def report_simulation(trials: int) -> None:
    """Report the epochs per second that driver and MLflow can process, relative to the required number."""
    driver, mirror = measured("simulation", trials), measured("mirror", WORKERS)
    name = f"orchestration: simulation of {trials} trials on {WORKERS} workers"
    told, written = EPOCHS / driver["trial"], 1 / mirror["trial"]
    report(f"{name}, epochs that the driver can take, beside those of 10 s", told, "/s", ratio=told / NEEDED)
    report(
        f"{name}, trials of the last tenth, beside the first",
        driver["last"],
        "s",
        ratio=driver["last"] / driver["first"],
    )
    report(f"{name}, epochs that MLflow can take, beside those of 10 s", written, "/s", ratio=written / NEEDED)
    report(f"{name}, peak memory of the driver", driver["driver"] / 1e9, "GB")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, help=f"number of trials (default: 1000; with --simulate {SIMULATED})")
    parser.add_argument("--simulate", action="store_true", help="simulated workers instead of empty trials")
    parser.add_argument(
        "--program", choices=PROGRAMS, help="only program to run; its measurements are printed, not reported"
    )
    options = parser.parse_args()
    if options.program:
        run_here(options.program, options.trials)
    elif options.simulate:
        report_simulation(options.trials or SIMULATED)
    else:
        report_overhead(options.trials or 1000)


if __name__ == "__main__":
    main()
