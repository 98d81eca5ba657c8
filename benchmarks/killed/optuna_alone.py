"""Grid in Optuna alone, in two processes: python optuna_alone.py DIRECTORY SPACE.

Source of the retries: Optuna's reference of `RDBStorage` and `RetryHeartbeatStaleTrialCallback`, and its example of
checkpoints in PyTorch. Source of the two processes: its tutorial on parallelization.
"""

import json
import multiprocessing
import sys
from pathlib import Path
from typing import Any

import optuna
import torch
from digits_training import Training
from event_log import EPOCHS, trial_name
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback

HEARTBEAT_S = 5
GRACE_S = 10


def study_in(directory: Path, space: dict[str, list[Any]]) -> optuna.Study:
    """Return the study, which is created if it does not exist."""
    storage = RDBStorage(
        f"sqlite:///{directory}/study.db",
        heartbeat_interval=HEARTBEAT_S,  # resume
        grace_period=GRACE_S,  # resume
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),  # resume
    )
    return optuna.create_study(
        storage=storage,
        study_name="digits",
        sampler=optuna.samplers.GridSampler(space, seed=0),
        direction="maximize",
        load_if_exists=True,  # resume
    )


def optimize(directory: Path, space: dict[str, list[Any]]) -> None:
    """Train trials until the grid is exhausted."""

    def objective(trial: optuna.Trial) -> float:
        training = Training(trial.suggest_float("smoothing", 0, 1), trial.suggest_int("seed", 0, 1000))
        frozen = trial.study.trials[trial.number]  # resume
        original = RetryHeartbeatStaleTrialCallback.retried_trial_number(frozen)  # resume
        path = directory / f"{trial.number if original is None else original}.pt"  # resume
        if path.exists():  # resume
            training.restore(torch.load(path))  # resume
        while training.epoch < EPOCHS:
            training.train_epoch()
            torch.save(training.state(), path.with_suffix(f".{trial.number}"))  # resume
            path.with_suffix(f".{trial.number}").replace(path)  # resume
        result = training.result()
        trial.set_user_attr("weights", result["weights"])
        return result["accuracy"]

    study_in(directory, space).optimize(objective)


def main(directory: Path, space: dict[str, list[Any]]) -> None:
    """Run two processes; write the results of complete trials."""
    study = study_in(directory, space)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=optimize, args=(directory, space)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    results = {}
    for trial in study.get_trials(states=[optuna.trial.TrialState.COMPLETE]):
        results[trial_name(trial.params["smoothing"], trial.params["seed"])] = trial.user_attrs["weights"]
    (directory / "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
