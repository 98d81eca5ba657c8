"""Datasets: registered metadata, loading and download, and their images in batches on the device."""

from typing import TYPE_CHECKING

from ...specs.lazy import lazy_exports

# Both modules register datasets. `folder:PATH@20%` matches two patterns, so `subsets` follows `builtin_datasets`.
from . import builtin_datasets as builtin_datasets  # isort: skip
from . import subsets as subsets  # isort: skip
from .dataset import Dataset, DatasetSpec, DataSource, datasets
from .subsets import share_of

if TYPE_CHECKING:
    from .in_memory import Images, ImageSet
    from .random_resized_crop import crop_box
    from .split import split_validation, stratified
    from .streamed import ImageFiles

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "ImageFiles": ".streamed",
        "ImageSet": ".in_memory",
        "Images": ".in_memory",
        "crop_box": ".random_resized_crop",
        "split_validation": ".split",
        "stratified": ".split",
    },
)

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
