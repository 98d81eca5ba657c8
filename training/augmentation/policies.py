"""Augmentation policies: the operations that each image gets, and their magnitudes."""

import functools
from typing import Literal

import torch
from torch import Tensor

from .operations import Operation

AutoAugment = Literal["auto_augment", "auto_augment_svhn", "auto_augment_imagenet"]


def draw_operations(
    policy: str, count: int, image_size: tuple[int, int], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw the operations of each image, in order, and their magnitudes.

    TrivialAugment (Wide): one of 14 operations, equally likely, at one of 31 magnitudes (arXiv 2103.10158, table 4).
    AutoAugment: one of 25 pairs of operations, each with its own probability and magnitude (arXiv 1805.09501,
    appendix). `auto_augment` is the policy found on CIFAR-10; the others were found on SVHN and ImageNet.
    Magnitudes are those of torchvision's `TrivialAugmentWide` and `AutoAugment`.

    Args:
        policy: name of the policy.
        count: number of images N.
        image_size: height and width in pixels.
        generator: generator on the CPU; it advances by an amount that depends only on the policy and the count.

    Returns:
        `Operation` numbers (N, K) int64 and their magnitudes (N, K) float32; K is 0 for `none`, 1 for TrivialAugment
        and 2 for AutoAugment.
    """
    if policy == "none":
        return torch.zeros(count, 0, dtype=torch.long), torch.zeros(count, 0)
    if policy == "trivial_augment":
        # TrivialAugment has no inversion, which is the last operation.
        operations = torch.randint(0, Operation.INVERT, (count, 1), generator=generator)
        levels = torch.randint(0, 31, (count, 1), generator=generator)
        magnitudes = _trivial_augments_magnitudes()
    else:
        pairs = torch.randint(0, 25, (count,), generator=generator)
        chances = torch.rand(count, 2, generator=generator)
        operations, probabilities, levels = (column[pairs] for column in _pairs(policy))
        operations = torch.where(chances < probabilities, operations, Operation.IDENTITY)
        magnitudes = _auto_augments_magnitudes(*image_size)
    negative = torch.randint(0, 2, operations.shape, generator=generator).bool()
    negative &= operations <= Operation.SHARPNESS  # the other magnitudes have no sign
    chosen = magnitudes[operations, levels]
    return operations, torch.where(negative, -chosen, chosen)


@functools.cache
def _trivial_augments_magnitudes() -> Tensor:
    return _magnitudes(31, shear=0.99, down=32, right=32, degrees=135, blend=0.99, bits=6)


@functools.cache
def _auto_augments_magnitudes(height: int, width: int) -> Tensor:
    reach = 150 / 331
    return _magnitudes(10, shear=0.3, down=reach * height, right=reach * width, degrees=30, blend=0.9, bits=4)


def _magnitudes(
    levels: int, *, shear: float, down: float, right: float, degrees: float, blend: float, bits: int
) -> Tensor:
    """Return the magnitudes (operations, levels) float32, from no effect to the given maximum."""
    most = {
        Operation.SHEAR_X: shear,
        Operation.SHEAR_Y: shear,
        Operation.TRANSLATE_X: right,
        Operation.TRANSLATE_Y: down,
        Operation.ROTATE: degrees,
        Operation.BRIGHTNESS: blend,
        Operation.COLOR: blend,
        Operation.CONTRAST: blend,
        Operation.SHARPNESS: blend,
    }
    table = torch.zeros(len(Operation), levels)
    for operation, magnitude in most.items():
        table[operation] = torch.linspace(0, magnitude, levels)
    table[Operation.POSTERIZE] = 8 - torch.linspace(0, bits, levels).round()
    table[Operation.SOLARIZE] = torch.linspace(255, 0, levels)
    return table


@functools.cache
def _pairs(policy: AutoAugment) -> tuple[Tensor, Tensor, Tensor]:
    """Return the operations, probabilities and levels of a policy's pairs, each (25, 2)."""
    steps = [step.split() for line in _POLICIES[policy].strip().splitlines() for step in line.split(",")]
    operations = torch.tensor([Operation[name.upper()] for name, _, _ in steps])
    probabilities = torch.tensor([int(tenths) / 10 for _, tenths, _ in steps])
    levels = torch.tensor([0 if level == "-" else int(level) for _, _, level in steps])
    return operations.view(25, 2), probabilities.view(25, 2), levels.view(25, 2)


# Each line is a pair: operation, its probability in tenths, its level of magnitude from 0 to 9 (-: no magnitude).
_POLICIES: dict[AutoAugment, str] = {
    "auto_augment": """
        invert 1 -, contrast 2 6
        rotate 7 2, translate_x 3 9
        sharpness 8 1, sharpness 9 3
        shear_y 5 8, translate_y 7 9
        autocontrast 5 -, equalize 9 -
        shear_y 2 7, posterize 3 7
        color 4 3, brightness 6 7
        sharpness 3 9, brightness 7 9
        equalize 6 -, equalize 5 -
        contrast 6 7, sharpness 6 5
        color 7 7, translate_x 5 8
        equalize 3 -, autocontrast 4 -
        translate_y 4 3, sharpness 2 6
        brightness 9 6, color 2 8
        solarize 5 2, invert 0 -
        equalize 2 -, autocontrast 6 -
        equalize 2 -, equalize 6 -
        color 9 9, equalize 6 -
        autocontrast 8 -, solarize 2 8
        brightness 1 3, color 7 0
        solarize 4 5, autocontrast 9 -
        translate_y 9 9, translate_y 7 9
        autocontrast 9 -, solarize 8 3
        equalize 8 -, invert 1 -
        translate_y 7 9, autocontrast 9 -
    """,
    "auto_augment_svhn": """
        shear_x 9 4, invert 2 -
        shear_y 9 8, invert 7 -
        equalize 6 -, solarize 6 6
        invert 9 -, equalize 6 -
        equalize 6 -, rotate 9 3
        shear_x 9 4, autocontrast 8 -
        shear_y 9 8, invert 4 -
        shear_y 9 5, solarize 2 6
        invert 9 -, autocontrast 8 -
        equalize 6 -, rotate 9 3
        shear_x 9 4, solarize 3 3
        shear_y 8 8, invert 7 -
        equalize 9 -, translate_y 6 6
        invert 9 -, equalize 6 -
        contrast 3 3, rotate 8 4
        invert 8 -, translate_y 0 2
        shear_y 7 6, solarize 4 8
        invert 6 -, rotate 8 4
        shear_y 3 7, translate_x 9 3
        shear_x 1 6, invert 6 -
        solarize 7 2, translate_y 6 7
        shear_y 8 4, invert 8 -
        shear_x 7 9, translate_y 8 3
        shear_y 8 5, autocontrast 7 -
        shear_x 7 2, invert 1 -
    """,
    "auto_augment_imagenet": """
        posterize 4 8, rotate 6 9
        solarize 6 5, autocontrast 6 -
        equalize 8 -, equalize 6 -
        posterize 6 7, posterize 6 6
        equalize 4 -, solarize 2 4
        equalize 4 -, rotate 8 8
        solarize 6 3, equalize 6 -
        posterize 8 5, equalize 10 -
        rotate 2 3, solarize 6 8
        equalize 6 -, posterize 4 6
        rotate 8 8, color 4 0
        rotate 4 9, equalize 6 -
        equalize 0 -, equalize 8 -
        invert 6 -, equalize 10 -
        color 6 4, contrast 10 8
        rotate 8 8, color 10 2
        color 8 8, solarize 8 7
        sharpness 4 7, invert 6 -
        shear_x 6 5, equalize 10 -
        color 4 0, equalize 6 -
        equalize 4 -, solarize 2 4
        solarize 6 5, autocontrast 6 -
        invert 6 -, equalize 10 -
        color 6 4, contrast 10 8
        equalize 8 -, equalize 6 -
    """,
}
