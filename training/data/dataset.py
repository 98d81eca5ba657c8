"""Metadata of datasets, available before loading, and the registry of datasets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ...specs import Count, Registry, Spec, require

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
    training_images: int | None = None
    """Number of training images, of the whole dataset for a subset; None if it is known after loading."""
    notes: tuple[str, ...] = ()
    """Sentences about files that are not used, for `exeunt plan` and `exeunt sweep`."""


datasets: Registry[Dataset] = Registry("dataset")


@dataclass(frozen=True, kw_only=True)
class FolderContent(Spec):
    """Images of a folder, identified by the names and sizes of their files, and where they are on this machine."""

    locations: ClassVar[frozenset[str]] = frozenset({"train", "test"})

    sha256: str
    """SHA-256 of the names and sizes of all files, as 64 hexadecimal digits."""
    image_shape: tuple[int, int, int]
    """Shape of an image in pixels: (channels, height, width)."""
    classes: Count
    training_images: Count
    """Number of training images."""
    train: str = field(default="", compare=False)
    """Absolute path of the training images; not part of `to_dict` or the key. Empty: unknown."""
    test: str = field(default="", compare=False)
    """Absolute path of the test images."""

    def __post_init__(self) -> None:
        """Check the form of the hash."""
        super().__post_init__()
        is_hash = re.fullmatch("[0-9a-f]{64}", self.sha256) is not None
        require(is_hash, "sha256 is 64 hexadecimal digits", sha256=self.sha256)

    def inactive_fields(self) -> frozenset[str]:
        """Return the location, which has no effect on a trial."""
        return frozenset({"train", "test"})


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Spec):
    """Dataset that a trial is trained and tested on."""

    name: str
    """Name of a registered dataset, such as `digits`, `cifar100@20%` or `folder:PATH`, or of the images of `folder`."""
    folder: FolderContent | None = None
    """Images in a folder that has its own name; None for a registered dataset."""

    later_fields: ClassVar[frozenset[str]] = frozenset({"folder"})

    def __post_init__(self) -> None:
        """Raise `SpecError` if no dataset of this name is registered."""
        super().__post_init__()
        if self.folder is None:
            datasets.check(self.name)

    @property
    def facts(self) -> Dataset:
        """Metadata of the dataset, and its loader."""
        if self.folder is None:
            return datasets[self.name]
        from .image_folder import facts_of  # noqa: PLC0415 (imports NumPy and Pillow)

        return facts_of(self)

    @property
    def location(self) -> dict[str, str]:
        """Paths of the images in this machine's folder, which `to_dict` leaves out; empty without a folder."""
        return {} if self.folder is None else {"train": self.folder.train, "test": self.folder.test}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Return the spec that `to_dict` describes."""
        folder = content.get("folder")
        return cls(name=content["name"], folder=None if folder is None else FolderContent.from_dict(folder))
