"""What runs in a Ray worker: one trial after another, none of which sees anything of the one before."""

import traceback
from pathlib import Path
from typing import Any

from ray import tune

from ...training import DataSource, OutOfMemory, Record, Stopped, TrialSpec, train
from ...training.trial import TrainedWeights
from ..storage.store import Store
from .processes import train_together
from .termination import told_to_go


def run_trial(
    config: dict[str, Any], *, storage: Path, source: DataSource, threads: int, processes: int, accelerated: bool
) -> None:
    """Trains the trial that the searcher suggested, and reports each epoch and how it ended.

    An exception is written to the trial's folder before it ends the attempt. At SIGTERM the trial is left where it is,
    reported as `stopped`, and ends with an exception, so that Tune gives this worker no other.
    """
    store = Store(storage)
    trial = TrialSpec.from_dict(config["spec"])
    directory = store.trial(config["key"])

    def report(record: Record) -> None:
        tune.report({"state": "running", "epoch": record["epoch"], "epochs": trial.recipe.epochs})

    try:
        teacher = _teacher_weights(trial, store)
        with told_to_go() as stop:
            how = {"teacher": teacher, "source": source, "threads": threads, "on_epoch": report, "stop": stop}
            if processes == 1:
                result = train(trial, directory, **how)
            else:
                result = train_together(trial, directory, processes=processes, accelerated=accelerated, **how)
    except Stopped:
        tune.report({"state": "stopped"})
        raise
    except OutOfMemory as outcome:
        directory.write_failure({"reason": str(outcome)})
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        directory.write_failure({"reason": reason, "traceback": traceback.format_exc()})
        raise
    tune.report({"state": result["state"], "seconds": result["seconds"]})


def _teacher_weights(trial: TrialSpec, store: Store) -> Path | None:
    if isinstance(trial.teacher, TrainedWeights):
        return Path(trial.teacher.path)
    return store.trial(trial.teacher.key).weights if trial.teacher else None
