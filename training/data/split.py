"""Seeded, stratified selection of images: the same fraction of each class."""

from typing import TypeVar

import torch
from torch import Tensor

from .in_memory import ImageSet

SPLIT_SEED = 0
"""Seed that selects the held-out training images; the same in all trials, so that they are comparable."""

AnyImages = TypeVar("AnyImages", bound=ImageSet)


def stratified(labels: Tensor, *, fraction: float, seed: int) -> Tensor:
    """Return a mask (N,) that is True for about `fraction` of each class of the labels (N,), drawn with `seed`."""
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for members in _shuffled_classes(labels, seed):
        chosen[members[: round(fraction * len(members))]] = True
    return chosen


def split_validation(images: AnyImages, *, fraction: float, seed: int) -> tuple[AnyImages, AnyImages]:
    """Split training images into those for training and about `fraction` of each class for validation.

    A class of two or more images has at least one in each part; the only image of a class stays in training.

    Raises:
        ValueError: if the fraction is outside (0, 1).
    """
    if not 0 < fraction < 1:
        raise ValueError(f"the fraction for validation must be between 0 and 1, but got {fraction}")
    for_validation = torch.zeros(len(images), dtype=torch.bool)
    for members in _shuffled_classes(images.labels, seed):
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        for_validation[members[:count]] = True
    return images.subset(~for_validation), images.subset(for_validation)


def _shuffled_classes(labels: Tensor, seed: int) -> list[Tensor]:
    """Return the image indices of each class that occurs, in random order."""
    generator = torch.Generator().manual_seed(seed)
    classes = [(labels == number).nonzero()[:, 0] for number in labels.unique()]
    return [members[torch.randperm(len(members), generator=generator)] for members in classes]
