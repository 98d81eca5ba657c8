"""Batches of pixels become network inputs, on the device that holds them."""

import torch
from torch import Tensor

PADDING = 4


def normalise(pixels: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """(N, C, H, W) uint8 to float32 with each channel's mean 0 and standard deviation 1, channels last in memory."""
    scaled = (pixels.float() / 255 - mean[:, None, None]) / std[:, None, None]
    return scaled.contiguous(memory_format=torch.channels_last)


def crop_flip(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Of each image a random crop after padding by 4 black pixels, mirrored with probability one half.

    One gather for the whole batch. pixels: (N, C, H, W) uint8; the generator lives on the CPU.
    """
    count, channels, height, width = pixels.shape
    shifts = torch.randint(0, 2 * PADDING + 1, (2, count, 1), generator=generator)
    mirrored = torch.randint(0, 2, (count, 1), generator=generator).bool()
    rows = torch.arange(height) + shifts[0]
    columns = torch.arange(width) + shifts[1]
    columns = torch.where(mirrored, columns.flip(1), columns)
    padded = torch.nn.functional.pad(pixels, (PADDING,) * 4)
    places = [torch.arange(count)[:, None, None, None], torch.arange(channels)[:, None, None]]
    places += [rows[:, None, :, None], columns[:, None, None, :]]
    return padded[tuple(place.to(pixels.device) for place in places)]
