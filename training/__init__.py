"""One trial from its spec to its result: data, training loop, checkpoints, evaluation."""

from .data import Dataset, DatasetSpec, DataSource, Images, datasets
from .directory import DamagedFile, Record, TrialDirectory
from .folder import Entry, Folder, Guard, LocalFolder, StorageError
from .recipe import Recipe, recipes
from .student import build_student
from .trainer import OutOfMemory, Stopped, train
from .trial import TrialSpec

__all__ = [
    "DamagedFile",
    "DataSource",
    "Dataset",
    "DatasetSpec",
    "Entry",
    "Folder",
    "Guard",
    "Images",
    "LocalFolder",
    "OutOfMemory",
    "Recipe",
    "Record",
    "Stopped",
    "StorageError",
    "TrialDirectory",
    "TrialSpec",
    "build_student",
    "datasets",
    "recipes",
    "train",
]
