"""Changes to internals of Ray Tune that let the first trial start sooner (ray 2.60)."""

import os

from ray.air._internal import usage
from ray.tune.execution import class_cache


def skip_usage_statistics() -> None:
    """Keep Tune from counting callbacks for its usage statistics, for which it imports MLflow and other loggers."""
    usage.tag_callbacks = lambda _: False


def use_prestarted_workers() -> None:
    """Keep Tune from giving trials environment variables of their own, for which Ray would start other workers.

    Workers of a local Ray have all variables of the process that started it.
    """
    class_cache.DEFAULT_ENV_VARS.clear()  # a variable of PyTorch Lightning
    class_cache.ENV_VARS_TO_PROPAGATE.difference_update(os.environ)
