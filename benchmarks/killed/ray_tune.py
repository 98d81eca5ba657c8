"""Grid in plain Ray Tune, which `Tuner.restore` resumes: python ray_tune.py DIRECTORY EXPERIMENT SPACE.

Source of the checkpoints and of the resumption: Ray's guides "How to Save and Load Trial Checkpoints" and "How to
Enable Fault Tolerance in Ray Tune".
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import ray
import torch
from digits_training import Training
from event_log import EPOCHS, trial_name
from ray import tune


def train(config: dict[str, Any]) -> None:
    """Train one trial."""
    training = Training(config["smoothing"], config["seed"])
    if (checkpoint := tune.get_checkpoint()) is not None:  # resume
        with checkpoint.as_directory() as folder:  # resume
            training.restore(torch.load(Path(folder, "state.pt")))  # resume
    while training.epoch < EPOCHS:
        training.train_epoch()
        with tempfile.TemporaryDirectory() as folder:  # resume
            torch.save(training.state(), Path(folder, "state.pt"))  # resume
            tune.report(training.result(), checkpoint=tune.Checkpoint.from_directory(folder))


def main(directory: Path, experiment: str, space: dict[str, list[Any]]) -> None:
    """Start or resume the experiment; write the results of its trials."""
    ray.init(address="local", num_cpus=2, include_dashboard=False)
    trainable = tune.with_resources(train, {"CPU": 1})
    path = str(directory / experiment)  # resume
    if tune.Tuner.can_restore(path):  # resume
        tuner = tune.Tuner.restore(path, trainable, resume_unfinished=True, resume_errored=True)  # resume
    else:  # resume
        tuner = tune.Tuner(
            trainable,
            param_space={name: tune.grid_search(values) for name, values in space.items()},
            run_config=tune.RunConfig(
                name=experiment,
                storage_path=str(directory),
                checkpoint_config=tune.CheckpointConfig(num_to_keep=2),  # resume
                verbose=0,
            ),
        )
    results = {}
    for result in tuner.fit():
        if result.error is None and result.metrics and result.metrics["training_iteration"] >= EPOCHS:
            results[trial_name(result.config["smoothing"], result.config["seed"])] = result.metrics["weights"]
    (directory / "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
