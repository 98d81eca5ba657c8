"""Names of the programs that trials can be recorded in, and the packages that they require."""

import importlib.util
from typing import NamedTuple

from ...specs import SpecError

MLFLOW = "mlflow"
"""Program that each sweep is recorded in."""


class _Entry(NamedTuple):
    module: str
    name: str
    package: str


TRACKERS = {
    "tensorboard": _Entry("tensorboard", "TensorBoard", "tensorboardX"),
    "wandb": _Entry("wandb", "WandB", "wandb"),
}
"""Module and class of each tracker in this package, and the package that it requires."""


def require_package(name: str) -> None:
    """Raise `SpecError` if the package of a tracker is not installed."""
    package = TRACKERS[name].package
    if importlib.util.find_spec(package) is None:
        raise SpecError(f"{name} requires the package {package}; install it with: pip install 'exeunt[{name}]'")
