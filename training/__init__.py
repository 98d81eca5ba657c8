"""One trial from its spec to its result: data, training loop, checkpoints, evaluation."""

from .data import Dataset, DatasetSpec, DataSource, Images, datasets
from .directory import Record, TrialDirectory
from .recipe import Recipe, recipes
from .student import build_student
from .trainer import OutOfMemory, Stopped, train
from .trial import TrialSpec

__all__ = [
    "DataSource",
    "Dataset",
    "DatasetSpec",
    "Images",
    "OutOfMemory",
    "Recipe",
    "Record",
    "Stopped",
    "TrialDirectory",
    "TrialSpec",
    "build_student",
    "datasets",
    "recipes",
    "train",
]
