"""Benchmark of MLflow runs in SQLite: the main table of 1,000 and 10,000, the history of 100, the write of 1,000.

The runs to read are inserted without MLflow's client, which would take hours. Tags and parameters are those of a sweep.
Each run has the latest value of each metric of a trial with three exits or none. Only the runs of the second benchmark
have a history, because the table does not read it. The third benchmark fills an empty database from a trial store, as
`exeunt sync` does. Times are wall-clock seconds of a new process without its imports; the load is printed first.
"""

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from exeunt.results import mlflow_sqlite
from exeunt.results.mlflow_sqlite import NewRun, Point
from exeunt.store import PlannedTrial, Progress, Record, Store
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.tracking.records import params_of, tags_of
from exeunt.sweep.tracking.writer import RUNS_PER_TRANSACTION, Mirror, create_database
from mlflow import MlflowClient
from rows import report

FILE = """\
name: {name}
dataset: cifar100
architectures: [resnet18, resnet34, resnet50, resnet101, resnet152]
seeds: {seeds}
recipe: paper
methods:
  baseline: {{}}
  kd: {{teacher: self, temperature: [1, 2, 4, 8]}}
  eed: {{exits: [all, "1", "1,2"], output_loss: kl, temperature: [1, 2, 3, 5, 8]}}
"""
CONFIGURATIONS = 100
RUNS = (1_000, 10_000)
WITH_HISTORY = 100
"""Number of runs of the sweep with a history."""
EPOCHS = 200
ENVIRONMENT = ("exeunt", "torch", "python", "host", "device", "precision", "threads", "processes")
SYNCED = 1_000
"""Number of runs that are written to an empty database."""
SYNCED_EPOCHS = 10


Numbers = dict[str, float]


def metrics(trial: PlannedTrial) -> Record:
    """Return the metrics of the last epoch by name; the values depend on seed and settings."""
    exits = ["final"] if trial.configuration.exits == "none" else ["exit1", "exit2", "exit3", "final", "ensemble"]
    names = [
        f"{split}/{exit}/{m}" for split in ("train", "test") for exit in exits for m in ("top1", "top5", "nll", "ece")
    ]
    names += [f"cost/{exit}/{cost}" for exit in exits for cost in ("parameters", "multiply_adds")]
    names += ["train/loss/label", "train/loss/output", "train/gradient_norm", "train/learning_rate", "cost/parameters"]
    names += ["images_per_second", "peak_memory_bytes", "seconds"]
    return dict.fromkeys(names, 70 + trial.order % 1009 / 100)


def fill(database: Path, name: str, runs: int, *, epochs: int = 0) -> None:
    """Add a sweep of completed trials, with a history of this number of epochs."""
    path = database.with_name(f"{name}.yaml")
    path.write_text(FILE.format(name=name, seeds=list(range(runs // CONFIGURATIONS))), encoding="utf-8")
    experiment = MlflowClient(f"sqlite:///{database}").create_experiment(name)
    done = Progress(state="done", result=result())
    runs_of_sweep = (
        NewRun(str(trial), "FINISHED", tags_of(trial, done), params_of(trial), points(trial, epochs))
        for trial in make_plan(read_sweep(path)).trials
    )
    while some := list(itertools.islice(runs_of_sweep, RUNS_PER_TRANSACTION)):
        mlflow_sqlite.insert(database, experiment, some)


def result() -> Record:
    """Return the result of a trial apart from its metrics."""
    bins = [[667.0, 0.123456789012345, 0.123456789012345]] * 15
    return {
        "state": "done",
        "seconds": 1000.0,
        "environment": dict.fromkeys(ENVIRONMENT, "the same everywhere"),
        "reliability": {"final": bins, "ensemble": bins},
    }


def points(trial: PlannedTrial, epochs: int) -> list[Point]:
    """Return the metrics of each epoch, or of the last one alone."""
    return [
        Point(name, epoch, epoch, value + 1.0 / epoch)
        for epoch in (range(1, epochs + 1) if epochs else [EPOCHS])
        for name, value in metrics(trial).items()
        if epoch == (epochs or EPOCHS) or not name.startswith(("test/", "cost/"))
    ]


def fill_store(folder: Path, name: str, runs: int) -> None:
    """Add a sweep of completed trials to a trial store, with a history of `SYNCED_EPOCHS` epochs."""
    path = folder.with_name(f"{name}.yaml")
    path.write_text(FILE.format(name=name, seeds=list(range(runs // CONFIGURATIONS))), encoding="utf-8")
    plan, store = make_plan(read_sweep(path)), Store(folder)
    store.save_sweep(plan)
    for trial in plan.trials:
        history: dict[int, Record] = {}
        for point in points(trial, SYNCED_EPOCHS):
            record = history.setdefault(point.epoch, {"epoch": point.epoch, "time": float(point.epoch)})
            record[point.name] = point.value
        files = store.trial(trial.key)
        files.write_history(list(history.values()))
        last = {name: value for name, value in history[SYNCED_EPOCHS].items() if name not in ("epoch", "time")}
        files.write_result(result() | {"key": trial.key, "metrics": last})


def main_table(tracking_uri: str, name: str) -> Numbers:
    """Load the runs, build the comparison, and render it with its significance tests."""
    from exeunt.results import comparison, load, main, render  # noqa: PLC0415 (imports are not measured)

    times = [time.perf_counter()]
    frame = load(tracking_uri, name)
    times.append(time.perf_counter())
    table = comparison(frame)
    times.append(time.perf_counter())
    render(main(table), "text")
    times.append(time.perf_counter())
    return dict(zip(("load", "comparison", "render"), np.diff(times), strict=True)) | {"all": times[-1] - times[0]}


def histories(tracking_uri: str, name: str) -> Numbers:
    """Read the metrics of each epoch, and count the rows of each frame."""
    from exeunt.results import epochs, history  # noqa: PLC0415 (imports are not measured)

    numbers: Numbers = {}
    for read in (history, epochs):
        started = time.perf_counter()
        rows = len(read(tracking_uri, name))
        numbers |= {read.__name__: time.perf_counter() - started, f"{read.__name__} rows": rows}
    return numbers


def written(tracking_uri: str, name: str) -> Numbers:
    """Write the runs of a trial store beside the database into the empty database."""
    store = Store(Path(tracking_uri.removeprefix("sqlite:///")).with_name("runs"))
    plan = store.plan(name)
    mirror = Mirror(plan, store, tracking_uri)
    started = time.perf_counter()
    number = mirror.update_all()
    return {"runs a second": number / (time.perf_counter() - started)}


PROGRAMS = {"table": main_table, "history": histories, "sync": written}


def measured(program: str, database: Path, name: str) -> Numbers:
    """Return the measurements of a program in a separate process, and its peak memory in bytes."""
    command = [sys.executable, __file__, "--program", program, "--database", database, "--sweep", name]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1])


def run_here(program: str, database: Path, name: str) -> None:
    """Run a program and print its measurements."""
    numbers = PROGRAMS[program](f"sqlite:///{database}", name)
    print(json.dumps(numbers | {"peak": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))


def report_all(database: Path) -> None:
    """Fill a database, and report the time and memory to read it."""
    create_database(database)
    for runs in RUNS:
        fill(database, f"table-{runs}", runs)
    fill(database, "history", WITH_HISTORY, epochs=EPOCHS)
    print(f"load before: {os.getloadavg()[0]:.1f}")
    few, many = (measured("table", database, f"table-{runs}") for runs in RUNS)
    name = f"tables: {RUNS[-1]} runs of {EPOCHS} epochs in SQLite"
    report(f"{name}, load", many["load"], "s")
    report(f"{name}, comparison", many["comparison"], "s")
    report(f"{name}, tests and text", many["render"], "s")
    report(f"{name}, main table, of 20 s, beside {RUNS[0]} runs", many["all"], "s", ratio=many["all"] / few["all"])
    report(f"{name}, peak memory, of 1.5 GB", many["peak"] / 1e9, "GB", ratio=many["peak"] / few["peak"])
    past = measured("history", database, "history")
    name = f"tables: {WITH_HISTORY} runs of {EPOCHS} epochs in SQLite"
    report(f"{name}, history, {past['history rows']} rows", past["history"], "s")
    report(f"{name}, epochs, {past['epochs rows']} rows", past["epochs"], "s")
    empty = database.with_name("empty.db")
    create_database(empty)
    fill_store(database.with_name("runs"), "sync", SYNCED)
    speed = measured("sync", empty, "sync")["runs a second"]
    report(f"tables: {SYNCED} runs of {SYNCED_EPOCHS} epochs to an empty SQLite, of 60/s", speed, "runs/s")


def run() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--program", choices=PROGRAMS, help="only program to run; its measurements are printed, not reported"
    )
    parser.add_argument("--database", type=Path, help="database that the program reads")
    parser.add_argument("--sweep", help="name of the sweep that the program reads")
    options = parser.parse_args()
    if options.program:
        run_here(options.program, options.database, options.sweep)
    else:
        with tempfile.TemporaryDirectory() as folder:
            report_all(Path(folder) / "mlflow.db")


if __name__ == "__main__":
    run()
