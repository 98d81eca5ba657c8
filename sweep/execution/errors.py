"""Why a trial's attempt ended, as far as Ray knows, where the worker did not say."""

import pickle
from pathlib import Path

from ray.exceptions import RayActorError, RayTaskError
from ray.tune.experiment import Trial


def cause_of(trial: Trial) -> str:
    """In a line: that the worker or its machine died, or what was raised in it."""
    file = trial.pickled_error_file
    if not file or not Path(file).exists():
        return "its worker died"
    error = pickle.loads(Path(file).read_bytes())
    if isinstance(error, RayActorError):
        return "its machine died" if "node has died" in str(error) else "its worker died"
    if isinstance(error, RayTaskError) and error.cause is not None:
        error = error.cause
    return f"{type(error).__name__}: {error}".splitlines()[0]
