"""Seeded choices of images that take the same share of each class."""

from typing import TypeVar

import torch
from torch import Tensor

from .in_memory import ImageSet

AnyImages = TypeVar("AnyImages", bound=ImageSet)


def stratified(labels: Tensor, *, fraction: float, seed: int) -> Tensor:
    """A mask (N,) that is true for about this fraction of each class of the labels (N,), chosen by the seed."""
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for members in _shuffled_classes(labels, seed):
        chosen[members[: round(fraction * len(members))]] = True
    return chosen


def split_validation(images: AnyImages, *, fraction: float, seed: int) -> tuple[AnyImages, AnyImages]:
    """Training images in two: those left for training, and about this fraction of each class for validation.

    The seed chooses. A class of two images or more has at least one in each part; a lone image is trained on.
    Raises `ValueError` for a fraction outside (0, 1).
    """
    if not 0 < fraction < 1:
        raise ValueError(f"the fraction for validation is between 0 and 1, not {fraction}")
    for_validation = torch.zeros(len(images), dtype=torch.bool)
    for members in _shuffled_classes(images.labels, seed):
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        for_validation[members[:count]] = True
    return images.subset(~for_validation), images.subset(for_validation)


def _shuffled_classes(labels: Tensor, seed: int) -> list[Tensor]:
    """The numbers of the images of each class that occurs, in random order."""
    generator = torch.Generator().manual_seed(seed)
    classes = [(labels == number).nonzero()[:, 0] for number in labels.unique()]
    return [members[torch.randperm(len(members), generator=generator)] for members in classes]
