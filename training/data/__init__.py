"""Data sets: what is known of them by name, where they come from, and their images in batches on the device."""

# Each of these modules registers its data sets. A share of a folder has the form of both: `subsets` comes later.
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
