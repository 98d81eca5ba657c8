"""Cause of a failed attempt as Ray reports it, if the worker reported none."""

import pickle
from pathlib import Path

from ray.exceptions import RayActorError, RayTaskError
from ray.tune.experiment import Trial

from ...specs import one_line


def cause_of(trial: Trial) -> str:
    """Return in one line that the worker died or its node failed, or the exception that it raised."""
    file = trial.pickled_error_file
    if not file or not Path(file).exists():
        return "worker died"
    error = pickle.loads(Path(file).read_bytes())
    if isinstance(error, RayActorError):
        return "node failed" if "node has died" in str(error) else "worker died"
    if isinstance(error, RayTaskError) and error.cause is not None:
        error = error.cause
    return one_line(f"{type(error).__name__}: {error}".splitlines()[0])
