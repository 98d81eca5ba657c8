"""Job of a grid in Hydra with its joblib launcher.

python hydra_joblib.py --multirun smoothing=0.05,0.1 seed=0,1,2 hydra.sweep.dir=DIRECTORY

Hydra does not resume a multirun. The directory of a job is named after its settings, so that a job finds its result or
its checkpoint when the same command runs again; the rest is code of the user.
"""

import json
from pathlib import Path
from typing import Any

import hydra
import torch
from digits_training import Training
from event_log import EPOCHS
from hydra.core.hydra_config import HydraConfig


@hydra.main(version_base="1.3", config_path=".", config_name="hydra_joblib")
def main(config: Any) -> None:
    """Train one job, or leave its result as it is."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    if (folder / "result.json").exists():  # resume
        return  # resume
    training = Training(config.smoothing, config.seed)
    if (folder / "state.pt").exists():  # resume
        training.restore(torch.load(folder / "state.pt"))  # resume
    while training.epoch < EPOCHS:
        training.train_epoch()
        torch.save(training.state(), folder / "new.pt")  # resume
        (folder / "new.pt").replace(folder / "state.pt")  # resume
    (folder / "new.json").write_text(json.dumps({"trial": training.name, **training.result()}))
    (folder / "new.json").replace(folder / "result.json")  # resume


if __name__ == "__main__":
    main()
