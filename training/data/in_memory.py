"""Labelled images of one split, however they are kept."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from .random_resized_crop import random_parts


class ImageSet(ABC):
    """Labelled images, given out in batches of pixels on a device."""

    labels: Tensor
    """(N,) int64 class numbers, on the CPU."""

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.labels)

    @abstractmethod
    def subset(self, which: Tensor) -> Self:
        """The images with these numbers (n,), or those where a mask (N,) is true."""

    @abstractmethod
    def to(self, device: torch.device | str) -> Self:
        """The same images, whose batches come on this device."""

    @abstractmethod
    def batches(self, order: Sequence[Tensor], boxes: Sequence[Tensor] | None = None) -> Iterator[Tensor]:
        """The pixels (n, C, H, W) uint8 of each batch of image numbers (n,) in `order`, both on the CPU.

        `boxes` has, for each batch, a row of four uniform draws from [0, 1) for each image (n, 4) float32: each image
        is then a random part of its picture, brought to the data set's size, see `crops.crop_box`. Without it,
        images are as they are tested. Nothing else is random: an order without its first batches gives what the whole
        order gives after them.
        """


@dataclass(frozen=True, kw_only=True)
class Images(ImageSet):
    """Images held whole in memory, on the device that trains."""

    pixels: Tensor
    """(N, channels, height, width) uint8."""
    labels: Tensor
    """(N,) int64 class numbers, on the CPU."""

    def subset(self, which: Tensor) -> Self:
        """The images with these numbers (n,), or those where a mask (N,) is true."""
        return replace(self, pixels=self.pixels[which.to(self.pixels.device)], labels=self.labels[which])

    def to(self, device: torch.device | str) -> Self:
        """The same images on a device."""
        return replace(self, pixels=self.pixels.to(device))

    def batches(self, order: Sequence[Tensor], boxes: Sequence[Tensor] | None = None) -> Iterator[Tensor]:
        """See `ImageSet.batches`."""
        for step, numbers in enumerate(order):
            if self.pixels.is_cuda:  # from pageable memory, the copy would wait for the device
                numbers = numbers.pin_memory().to(self.pixels.device, non_blocking=True)  # noqa: PLW2901
            yield self.pixels[numbers] if boxes is None else random_parts(self.pixels[numbers], boxes[step])
