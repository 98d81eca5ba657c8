"""Data sets: what is known of them by name, where they come from, and their images in batches on the device."""

# Each of these modules registers its data sets.
from . import digits as digits
from .dataset import Dataset, DatasetSpec, DataSource, datasets
from .images import Images, ImageSet
from .split import split_validation, stratified

__all__ = [
    "DataSource",
    "Dataset",
    "DatasetSpec",
    "ImageSet",
    "Images",
    "datasets",
    "split_validation",
    "stratified",
]
