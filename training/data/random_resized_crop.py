"""Crops of pictures of any size, resized to one size: a random part for training, the centre for evaluation."""

import math
import random

import torch
from torch import Tensor
from torch.nn.functional import interpolate

AREA = (0.08, 1.0)
"""Range of the area of a random part, as a fraction of the picture's area."""
ASPECT = (3 / 4, 4 / 3)
"""Range of the aspect ratio (width / height) of a random part."""
ATTEMPTS = 10
KEPT_SIDE = 0.875
"""Fraction of the shorter side that evaluation keeps: 224 of 256 pixels for ImageNet."""


def crop_box(height: int, width: int, draws: Tensor) -> tuple[int, int, int, int]:
    """Return top, left, height and width of a random part of a picture, in pixels.

    The distribution is that of torchvision's `RandomResizedCrop` (Szegedy et al. 2015, section 6): 8% to 100% of the
    area, an aspect ratio from 3/4 to 4/3, uniform in its logarithm, at a uniform position. A part that does not fit is
    drawn again. After ten attempts, the result is the largest centred part with an allowed aspect ratio.

    Args:
        height: height of the picture.
        width: width of the picture.
        draws: (4,) float32, uniform in [0, 1). The number of attempts varies, so the draws seed a generator for this
            part.
    """
    chance = random.Random(draws.numpy().tobytes())
    for _ in range(ATTEMPTS):
        area = height * width * (AREA[0] + (AREA[1] - AREA[0]) * chance.random())
        aspect = ASPECT[0] * (ASPECT[1] / ASPECT[0]) ** chance.random()
        part_height, part_width = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 0 < part_height <= height and 0 < part_width <= width:
            top, left = height - part_height + 1, width - part_width + 1  # number of positions
            return int(top * chance.random()), int(left * chance.random()), part_height, part_width
    part_height = min(height, round(width / ASPECT[0]))
    part_width = min(width, round(height * ASPECT[1]))
    return (height - part_height) // 2, (width - part_width) // 2, part_height, part_width


def random_part(picture: Tensor, size: int, draws: Tensor) -> Tensor:
    """Return the part of a picture (C, H, W) uint8 that `crop_box` draws, resized to (C, size, size)."""
    _, height, width = picture.shape
    top, left, height, width = crop_box(height, width, draws)
    return _resized(picture[:, top : top + height, left : left + width], size, size)


def middle(picture: Tensor, size: int) -> Tensor:
    """Return the centre (C, size, size) of a picture (C, H, W) uint8 whose shorter side is resized to size / 0.875."""
    side, shorter = round(size / KEPT_SIDE), min(picture.shape[-2:])
    height, width = (side * length // shorter for length in picture.shape[-2:])
    top, left = round((height - size) / 2), round((width - size) / 2)
    return _resized(picture, height, width)[:, top : top + size, left : left + size]


def random_parts(images: Tensor, draws: Tensor) -> Tensor:
    """Return the part of each image that `crop_box` draws, enlarged to the image's size on its device.

    Args:
        images: (n, C, H, W) uint8.
        draws: (n, 4) float32, uniform in [0, 1), on the CPU.
    """
    height, width = images.shape[-2:]
    boxes = torch.tensor([crop_box(height, width, draw) for draw in draws])
    if images.is_cuda:  # from pageable memory, the copy would wait for the device
        boxes = boxes.pin_memory().to(images.device, non_blocking=True)
    top, left, part_height, part_width = boxes.unbind(1)
    rows, columns = _enlargement(top, part_height, height), _enlargement(left, part_width, width)
    return (rows[:, None] @ images.float() @ columns[:, None].mT).round().byte()


def _enlargement(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Return matrices (n, size, size) that linearly stretch a part of a row of pixels to the whole row."""
    pixels = torch.arange(size, device=start.device)
    places = (pixels + 0.5) * (length / size)[:, None] - 0.5
    places = places.clamp(min=0).minimum(length[:, None] - 1) + start[:, None]
    return (1 - (places[:, :, None] - pixels).abs()).clamp(min=0)


def _resized(picture: Tensor, height: int, width: int) -> Tensor:
    return interpolate(picture[None], (height, width), mode="bilinear", antialias=True)[0]
