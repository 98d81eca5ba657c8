"""Training of one trial, from its spec to its result: data, training loop, checkpoints, evaluation."""

from .data import Dataset, DatasetSpec, DataSource, Images, datasets
from .directory import DamagedFileError, Record, TrialDirectory
from .folder import FileInfo, Folder, LocalFolder, StorageError, WriteGuard
from .recipe import Recipe, recipes
from .student import build_student
from .train import OutOfMemoryError, TrainingInterrupted, train
from .trial import TrialSpec

__all__ = [
    "DamagedFileError",
    "DataSource",
    "Dataset",
    "DatasetSpec",
    "FileInfo",
    "Folder",
    "Images",
    "LocalFolder",
    "OutOfMemoryError",
    "Recipe",
    "Record",
    "StorageError",
    "TrainingInterrupted",
    "TrialDirectory",
    "TrialSpec",
    "WriteGuard",
    "build_student",
    "datasets",
    "recipes",
    "train",
]
