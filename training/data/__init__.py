"""Data sets: what is known of them by name, where they come from, and their images in batches on the device."""

# Each of these modules registers its data sets. A share of a folder has the form of both: `shares` comes later.
from . import digits as digits
from . import folders as folders
from . import shares as shares
from . import torchvision_sets as torchvision_sets
from .crops import crop_box
from .dataset import Dataset, DatasetSpec, DataSource, datasets
from .files import ImageFiles
from .images import Images, ImageSet
from .shares import share_of
from .split import split_validation, stratified

__all__ = [
    "DataSource",
    "Dataset",
    "DatasetSpec",
    "ImageFiles",
    "ImageSet",
    "Images",
    "crop_box",
    "datasets",
    "share_of",
    "split_validation",
    "stratified",
]
