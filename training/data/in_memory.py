"""Labelled images of one split: the common interface, and images held in memory."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from ..transfer import to_device
from .random_resized_crop import random_parts


class ImageSet(ABC):
    """Labelled images, read in batches of pixels on a device."""

    labels: Tensor
    """Class indices (N,) int64, on the CPU."""

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def subset(self, which: Tensor) -> Self:
        """Return the images with these indices (n,), or those where a mask (N,) is True."""

    @abstractmethod
    def to(self, device: torch.device | str) -> Self:
        """Return the same images, with batches on this device."""

    @abstractmethod
    def batches(self, order: Sequence[Tensor], boxes: Sequence[Tensor] | None = None) -> Iterator[Tensor]:
        """Iterate over the pixels (n, C, H, W) uint8 of each batch.

        The result depends only on the arguments: an order without its first batches gives the same remaining batches.

        Args:
            order: image indices (n,) of each batch, on the CPU.
            boxes: for each batch, uniform draws from [0, 1), (n, 4) float32, on the CPU. Each image is then a random
                part of its picture, resized to the dataset's size, see `crop_box`. None: images as in evaluation.
        """


@dataclass(frozen=True, kw_only=True)
class Images(ImageSet):
    """Images held in memory, on the device that trains."""

    pixels: Tensor
    """Pixel values (N, channels, height, width) uint8."""
    labels: Tensor
    """Class indices (N,) int64, on the CPU."""

    def subset(self, which: Tensor) -> Self:
        """Return the images with these indices (n,), or those where a mask (N,) is True."""
        return replace(self, pixels=self.pixels[which.to(self.pixels.device)], labels=self.labels[which])

    def to(self, device: torch.device | str) -> Self:
        """Return the same images, held on this device."""
        return replace(self, pixels=self.pixels.to(device))

    def batches(self, order: Sequence[Tensor], boxes: Sequence[Tensor] | None = None) -> Iterator[Tensor]:
        """See `ImageSet.batches`."""
        for step, numbers in enumerate(to_device(order, self.pixels.device)):
            yield self.pixels[numbers] if boxes is None else random_parts(self.pixels[numbers], boxes[step])
