"""Training of one trial, from its spec to its result: data, training loop, checkpoints, evaluation.

Specs, the metadata of datasets and trial files need no PyTorch. It is imported when a network is built or trained.
"""

from typing import TYPE_CHECKING

from ..specs.lazy import lazy_exports
from .augmentation.policy import policies, register_augmentation
from .data import Dataset, DatasetSpec, DataSource, datasets
from .optimizers import optimizers, register_optimizer
from .recipe import Recipe, recipes
from .schedules import register_schedule, schedules
from .trial import TrialSpec

if TYPE_CHECKING:
    from .data import Images
    from .resource_usage import OutOfMemoryError
    from .student import build_student
    from .train import TrainingInterrupted, train

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Images": ".data",
        "OutOfMemoryError": ".resource_usage",
        "TrainingInterrupted": ".train",
        "build_student": ".student",
        "train": ".train",
    },
)

__all__ = [
    "DataSource",
    "Dataset",
    "DatasetSpec",
    "Images",
    "OutOfMemoryError",
    "Recipe",
    "TrainingInterrupted",
    "TrialSpec",
    "build_student",
    "datasets",
    "optimizers",
    "policies",
    "recipes",
    "register_augmentation",
    "register_optimizer",
    "register_schedule",
    "schedules",
    "train",
]
