"""One trial from its spec to its result: data, training loop, checkpoints, evaluation."""

from .data import Dataset, DatasetSpec, Images, datasets
from .directory import Record, TrialDirectory
from .recipe import Recipe, recipes
from .student import build_student
from .trainer import train
from .trial import TrialSpec

__all__ = [
    "Dataset",
    "DatasetSpec",
    "Images",
    "Recipe",
    "Record",
    "TrialDirectory",
    "TrialSpec",
    "build_student",
    "datasets",
    "recipes",
    "train",
]
