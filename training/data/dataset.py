"""Metadata of datasets, available before loading, and the registry of datasets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...specs import Registry, Spec

if TYPE_CHECKING:
    from .in_memory import ImageSet

FOLDER_PREFIX = "folder:"
"""Beginning of the name of a dataset in an image folder."""
LARGE = 224
"""Height and width of images that are streamed from files, in pixels."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)  # as for torchvision's pretrained networks
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Location of the datasets on this machine, and permission to download them."""

    directory: Path | None = None
    """Data directory with torchvision's layout; an absolute path, since workers run in another directory."""
    download: bool = False
    """True if missing files are downloaded from their authors' site."""
    workers: int | None = None
    """Number of processes that decode image files, see `ImageFiles`; unused by datasets held in memory."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Metadata of a dataset, available before loading, and its loader."""

    description: str
    image_shape: tuple[int, int, int]
    """Shape of an image in pixels: (channels, height, width)."""
    classes: int
    """Number of classes."""
    mean: tuple[float, ...]
    """Mean of each channel of the training images, as a fraction of the maximum pixel value 255."""
    std: tuple[float, ...]
    """Standard deviation of each channel of the training images, in the unit of `mean`."""
    load: Callable[[DataSource], tuple[ImageSet, ImageSet]]
    """Function that returns the training and test images; it raises `SpecError` if files are missing or damaged."""


datasets: Registry[Dataset] = Registry("dataset")


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Spec):
    """Dataset that a trial is trained and tested on."""

    name: str
    """Name of a registered dataset, such as `digits`, `cifar100@20%` or `folder:PATH`."""

    def __post_init__(self) -> None:
        """Raise `SpecError` if no dataset of this name is registered."""
        super().__post_init__()
        datasets.check(self.name)
