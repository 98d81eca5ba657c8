"""Training of one trial, from its spec to its result: data, training loop, checkpoints, evaluation."""

from .data import Dataset, DatasetSpec, DataSource, Images, datasets
from .recipe import Recipe, recipes
from .student import build_student
from .train import OutOfMemoryError, TrainingInterrupted, train
from .trial import TrialSpec

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
    "recipes",
    "train",
]
