"""Datasets: registered metadata, loading and download, and their images in batches on the device."""

# Each module registers its datasets. `folder:PATH@20%` matches two patterns, so `subsets` follows `image_folder`.
from . import digits as digits
from . import image_folder as image_folder
from . import subsets as subsets
from . import torchvision_sets as torchvision_sets
from .dataset import Dataset, DatasetSpec, DataSource, datasets
from .in_memory import Images, ImageSet
from .random_resized_crop import crop_box
from .split import split_validation, stratified
from .streamed import ImageFiles
from .subsets import share_of

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
