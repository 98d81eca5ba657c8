"""Batches of pixels become network inputs, on the device that holds them.

Chance and arithmetic are separate: `Augmentation.draw` makes everything random about a batch on the CPU, from one
generator, and `Augmentation.apply` is a function of pixels and draws: the same on every device, mixup's rounding aside.
"""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from ...specs import NonNegative, Range, Spec
from .operations import on_device, perform
from .policies import Policy, draw_operations

PADDING = 4


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """How the images of a batch are mixed in pairs."""

    share: float
    """The part that an image keeps of itself and of its label; the rest comes from its partner. Between 0 and 1."""
    box: tuple[int, int, int, int] | None
    """Top, bottom, left and right of the rectangle that CutMix takes from the partner; None: mixup."""


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Everything random about a batch of N images, on the CPU; None where nothing is drawn."""

    count: int
    """N."""
    shifts: Tensor | None = None
    """(N, 2) int64: first row and first column of each crop of the padded image."""
    crops: Tensor | None = None
    """(N, 4) float32, uniform in [0, 1): what the image set makes random resized crops of; nothing to `apply`."""
    flips: Tensor | None = None
    """(N,) bool: which images are mirrored."""
    operations: Tensor | None = None
    """(N, K) int64: the numbers of the operations of the policy, in order."""
    magnitudes: Tensor | None = None
    """(N, K) float32, of these operations."""
    centres: Tensor | None = None
    """(N, 2) int64: row and column of the middle of each square that is cut out."""
    mixing: Mixing | None = None

    def part(self, start: int, stop: int) -> "Draws":
        """The draws of images `start` to `stop` of the batch, for one of several processes that share it.

        Raises `ValueError` if images are mixed and the part begins or ends between two that are mixed.
        """
        if self.mixing and (start % 2 or (stop % 2 and stop != self.count)):
            raise ValueError(f"images are mixed in pairs, and {start} to {stop} is not made of whole pairs")
        drawn = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        tensors = {name: value[start:stop] for name, value in drawn.items() if isinstance(value, Tensor)}
        return dataclasses.replace(self, count=stop - start, **tensors)


@dataclass(frozen=True, kw_only=True)
class Augmentation(Spec):
    """What happens to training images, in this order: crop, flip, policy, cutout, normalisation, mixup or CutMix."""

    crop: Literal["none", "pad", "resized"] = "none"
    """`pad`: a crop of the image padded by 4 black pixels; `resized`: a part of 8% to 100% of its area, resized.

    The latter is made where the images are kept, before they all have one size.
    """
    flip: bool = False
    """Each image is mirrored with probability one half."""
    policy: Policy = "none"
    """TrivialAugment Wide, or AutoAugment with the policy for CIFAR-10 unless another is named.

    The parts that are moved in from outside are black.
    """
    cutout: Annotated[int, Range(minimum=0)] = 0
    """Side in pixels of the square that is cut out of each image (arXiv 1708.04552); 0: none.

    Its middle is anywhere in the image, so that it may reach over the border. As in the authors' code
    (github.com/uoguelph-mlrg/Cutout) it is 0 in the normalised image: the mean colour, not black.
    """
    mixup: NonNegative = 0.0
    """The parameter of the beta distribution that mixup's share is drawn from (arXiv 1710.09412); 0: no mixup."""
    cutmix: NonNegative = 0.0
    """The parameter of CutMix's beta distribution (arXiv 1905.04899); 0: no CutMix.

    With mixup as well, each batch takes one of the two with probability one half.
    """

    def draw(self, count: int, image_shape: tuple[int, int, int], generator: torch.Generator) -> Draws:
        """Everything random about a batch.

        What is taken from the generator depends on the settings, the count and the shape, never on what was drawn.

        Args:
            count: N, the images of the whole batch, however many processes share it.
            image_shape: (channels, height, width) of what the network sees.
            generator: on the CPU.
        """
        _, height, width = image_shape
        drawn: dict[str, Tensor] = {}
        if self.crop == "pad":
            drawn["shifts"] = torch.randint(0, 2 * PADDING + 1, (count, 2), generator=generator)
        if self.crop == "resized":
            drawn["crops"] = torch.rand(count, 4, generator=generator)
        if self.flip:
            drawn["flips"] = torch.randint(0, 2, (count,), generator=generator).bool()
        if self.policy != "none":
            operations, magnitudes = draw_operations(self.policy, count, (height, width), generator)
            drawn |= {"operations": operations, "magnitudes": magnitudes}
        if self.cutout:
            anywhere = torch.rand(count, 2, generator=generator, dtype=torch.float64)
            drawn["centres"] = (anywhere * torch.tensor([height, width])).long()
        mixing = self._draw_mixing(height, width, generator) if self.mixup or self.cutmix else None
        return Draws(count=count, mixing=mixing, **drawn)

    def _draw_mixing(self, height: int, width: int, generator: torch.Generator) -> Mixing:
        # A beta variate takes a varying number of random numbers: they come from a generator of their own.
        chance = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        from_cutmix = chance.random() < (0.5 if self.mixup and self.cutmix else float(self.cutmix > 0))
        alpha = self.cutmix if from_cutmix else self.mixup
        share = float(chance.beta(alpha, alpha))
        if not from_cutmix:
            return Mixing(share=share, box=None)
        row, column = (int(number) for number in chance.integers([height, width]))
        half_height, half_width = (int(size * (1 - share) ** 0.5) // 2 for size in (height, width))
        top, bottom = max(row - half_height, 0), min(row + half_height, height)
        left, right = max(column - half_width, 0), min(column + half_width, width)
        share = 1 - (bottom - top) * (right - left) / (height * width)
        return Mixing(share=share, box=(top, bottom, left, right))

    def apply(
        self,
        pixels: Tensor,
        labels: Tensor,
        draws: Draws,
        *,
        mean: Tensor,
        std: Tensor,
        classes: int,
        dtype: torch.dtype = torch.float32,
    ) -> tuple[Tensor, Tensor]:
        """What the network is trained on, where the pixels are and without waiting for an accelerator.

        Images 2k and 2k+1 are mixed with one another, and an odd last one with itself: their order is random already,
        and a part of a batch holds all its pairs.

        Args:
            pixels: (N, C, H, W) uint8, H and W those of the draws; random resized crops are made already.
            labels: (N,) int64 on the same device.
            draws: for N images, from this augmentation.
            mean: (C,) on the same device, in units of the brightest pixel value, 255.
            std: (C,), in the same unit.
            classes: the number of classes.
            dtype: of the inputs.

        Returns:
            Inputs (N, C, H, W), normalised and channels last in memory; labels (N,) as they were or, if images are
            mixed, probabilities (N, classes) float32.
        """
        if draws.shifts is not None:
            pixels = _cropped(pixels, draws.shifts)
        if draws.flips is not None:
            pixels = _flipped(pixels, draws.flips)
        if draws.operations is not None and draws.magnitudes is not None:
            for operations, magnitudes in zip(draws.operations.unbind(1), draws.magnitudes.unbind(1), strict=True):
                pixels = perform(pixels, operations, magnitudes)
        inputs = normalise(pixels, mean, std)
        if draws.centres is not None:
            _cut_out(inputs, draws.centres, self.cutout)
        if draws.mixing:
            inputs = _mixed(inputs, draws.mixing)
            labels = _mixed_labels(labels, draws.mixing.share, classes)
        return inputs.to(dtype), labels


def normalise(pixels: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """(N, C, H, W) uint8 to float32 with each channel's mean 0 and standard deviation 1, channels last in memory."""
    scaled = pixels.float().div_(255).sub_(mean[:, None, None]).div_(std[:, None, None])
    return scaled.contiguous(memory_format=torch.channels_last)


def _cropped(pixels: Tensor, shifts: Tensor) -> Tensor:
    """Of each padded image the part that begins at its shift (N, 2), in one gather of whole windows."""
    _, _, height, width = pixels.shape
    windows = torch.nn.functional.pad(pixels, (PADDING,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    down, right = on_device(shifts, pixels.device).unbind(1)
    return windows[torch.arange(len(pixels), device=pixels.device), :, down, right]


def _flipped(pixels: Tensor, flips: Tensor) -> Tensor:
    """The images, those mirrored that are to be (N,)."""
    chosen = torch.arange(len(pixels)) + len(pixels) * flips
    return torch.cat([pixels, pixels.flip(3)]).index_select(0, on_device(chosen, pixels.device))


def _cut_out(inputs: Tensor, centres: Tensor, side: int) -> None:
    """Sets a square of each image to 0."""
    first = on_device(centres - side // 2, inputs.device)
    inside = []
    for size, start in zip(inputs.shape[2:], first.unbind(1), strict=True):
        offset = torch.arange(size, device=inputs.device) - start[:, None]
        inside.append((offset >= 0) & (offset < side))
    inputs.masked_fill_(inside[0][:, None, :, None] & inside[1][:, None, None, :], 0)


def _mixed(inputs: Tensor, mixing: Mixing) -> Tensor:
    partners = _partners(inputs)
    if mixing.box is None:
        return torch.lerp(inputs[partners], inputs, mixing.share)
    top, bottom, left, right = mixing.box
    box = inputs[:, :, top:bottom, left:right]
    box.copy_(box[partners])
    return inputs


def _mixed_labels(labels: Tensor, share: float, classes: int) -> Tensor:
    certain = (labels[:, None] == torch.arange(classes, device=labels.device)).float()
    return torch.lerp(certain[_partners(labels)], certain, share)


def _partners(batch: Tensor) -> Tensor:
    """The numbers (N,) of the images that those of a batch are mixed with: 1, 0, 3, 2, ..."""
    return torch.arange(len(batch), device=batch.device).bitwise_xor(1).clamp(max=len(batch) - 1)
