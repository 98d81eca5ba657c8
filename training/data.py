"""Data sets, held whole as uint8 tensors on the device that trains."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..specs import Registry, Spec, SpecError


@dataclass(frozen=True, kw_only=True)
class Images:
    """Labelled images of one split."""

    pixels: Tensor
    """(N, channels, height, width) uint8."""
    labels: Tensor
    """(N,) int64 class numbers."""

    def to(self, device: torch.device) -> "Images":
        """The same images on a device."""
        return Images(pixels=self.pixels.to(device), labels=self.labels.to(device))


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
    load: Callable[[], tuple[Images, Images]]
    """Returns the training and the test images."""


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


def stratified(labels: Tensor, *, fraction: float, seed: int) -> Tensor:
    """A mask (N,) that is true for about this fraction of each class of the labels (N,), chosen by the seed."""
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    generator = torch.Generator().manual_seed(seed)
    for number in labels.unique():
        members = (labels == number).nonzero()[:, 0]
        order = torch.randperm(len(members), generator=generator)
        chosen[members[order[: round(fraction * len(members))]]] = True
    return chosen


def _digits() -> tuple[Images, Images]:
    # Its file is read without importing scikit-learn, which takes every worker two seconds.
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        raise SpecError("the digits come with scikit-learn, which is not installed.", field="dataset")
    scans = np.loadtxt(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    brightness = scans[:, :-1].reshape(-1, 1, 8, 8) / 16
    pixels = torch.tensor(np.round(255 * brightness).astype(np.uint8))
    labels = torch.tensor(scans[:, -1].astype(np.int64))
    for_test = stratified(labels, fraction=0.2, seed=0)  # one split for everybody
    train = Images(pixels=pixels[~for_test], labels=labels[~for_test])
    test = Images(pixels=pixels[for_test], labels=labels[for_test])
    return train, test


datasets.register("digits")(
    Dataset(
        description="1,797 scans of handwritten digits that ship with scikit-learn; a fifth of each class is for test",
        image_shape=(1, 8, 8),
        classes=10,
        mean=(0.3060,),
        std=(0.3763,),
        load=_digits,
    )
)
