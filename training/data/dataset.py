"""What is known of a data set before it is loaded, and the names that data sets are registered under."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...specs import Registry, Spec
from .in_memory import ImageSet


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Where data sets are kept on this machine, and what may be done to get them there."""

    directory: Path | None = None
    """The user's data folder, laid out as torchvision does; absolute, since workers run elsewhere."""
    download: bool = False
    """Whether what is absent is fetched from where its authors offer it."""
    workers: int | None = None
    """Processes that read image files, see `ImageFiles`; data sets held in memory need none."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What is known of a data set before it is loaded, and how to load it."""

    description: str
    image_shape: tuple[int, int, int]
    """(channels, height, width)."""
    classes: int
    mean: tuple[float, ...]
    """Of each channel of the training images, in units of the brightest pixel value, 255."""
    std: tuple[float, ...]
    load: Callable[[DataSource], tuple[ImageSet, ImageSet]]
    """Returns the training and the test images. Raises `SpecError` where they are not, or are damaged."""


datasets: Registry[Dataset] = Registry("dataset")


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Spec):
    """The images that a trial trains and is tested on."""

    name: str
    """A registered data set."""

    def __post_init__(self) -> None:
        """Refuses names that nothing is registered under."""
        super().__post_init__()
        datasets[self.name]
