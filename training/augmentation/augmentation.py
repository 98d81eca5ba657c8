"""Augmentation of pixel batches into network inputs, on the device that holds the pixels.

Randomness and arithmetic are separate. `Augmentation.draw` makes all random choices for a batch on the CPU, from one
generator. `Augmentation.apply` is a deterministic function of pixels and draws. Its results are equal on all devices,
except for rounding in mixup.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from ...specs import NonNegative, Range, Spec, SpecError
from ...specs.lazy import LazyModule
from .policy import policies

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from .. import transfer
    from . import operations
    from . import policies as operations_of_policies
else:
    np, torch = LazyModule("numpy"), LazyModule("torch")
    operations = LazyModule(f"{__package__}.operations")
    operations_of_policies = LazyModule(f"{__package__}.policies")
    transfer = LazyModule(f"{__package__.rpartition('.')[0]}.transfer")

PADDING = 4


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """Parameters for mixing the images of a batch in pairs."""

    share: Tensor
    """Weight of an image's label in the mixture, from 0 to 1, a float32 scalar; its partner's gets 1 - share."""
    pixel_share: Tensor
    """Weight of an image's pixels where `copied` is false, a float32 scalar: that of the label, or 1 for CutMix."""
    copied: Tensor
    """Mask (H, W) bool of the pixels that CutMix copies from the partner; all false for mixup."""


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Random choices for a batch of N images, drawn on the CPU; a field is None if its operation is off."""

    count: int
    """Number of images N."""
    shifts: Tensor | None = None
    """First row and first column of each crop from the padded image: (N, 2) int64."""
    crops: Tensor | None = None
    """Uniform numbers in [0, 1) for random resized crops: (N, 4) float32; used by the image set, not by `apply`."""
    flips: Tensor | None = None
    """Mask of the images that are mirrored: (N,) bool."""
    operations: Tensor | None = None
    """`Operation` numbers of the policy for each image, in order: (N, K) int64, always on the CPU."""
    magnitudes: Tensor | None = None
    """Magnitudes of `operations`: (N, K) float32, always on the CPU."""
    numbers: Tensor | None = None
    """Random numbers of a plugin's policy: (N, K) float32 in [0, 1)."""
    centres: Tensor | None = None
    """Row and column of the centre of each cutout square: (N, 2) int64."""
    mixing: Mixing | None = None

    def part(self, start: int, stop: int) -> Draws:
        """Return the draws of images `start` to `stop` of the batch, the part of one process.

        Raises:
            ValueError: if images are mixed and the part splits a pair.
        """
        if self.mixing and (start % 2 or (stop % 2 and stop != self.count)):
            raise ValueError(
                f"images {start} to {stop} split a mixed pair; a part of a mixed batch must consist of whole pairs"
            )
        drawn = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        tensors = {name: value[start:stop] for name, value in drawn.items() if isinstance(value, torch.Tensor)}
        return dataclasses.replace(self, count=stop - start, **tensors)

    def with_moved(self, move: Callable[[Tensor], Tensor]) -> Draws:
        """Return the draws with `move` applied to each tensor that `Augmentation.apply` reads on the device."""
        read = {"shifts": self.shifts, "flips": self.flips, "numbers": self.numbers, "centres": self.centres}
        moved = {name: move(tensor) for name, tensor in read.items() if tensor is not None}
        if self.mixing is None:
            return dataclasses.replace(self, **moved)
        fields = (field.name for field in dataclasses.fields(Mixing))
        mixing = Mixing(**{name: move(getattr(self.mixing, name)) for name in fields})
        return dataclasses.replace(self, **moved, mixing=mixing)


def draws_to_device(draws: Sequence[Draws], device: torch.device) -> list[Draws]:
    """Return the draws of several batches on the device, copied by one transfer without waiting for the device."""
    tensors: list[Tensor] = []
    for drawn in draws:
        drawn.with_moved(lambda tensor: (tensors.append(tensor), tensor)[1])
    there = iter(transfer.to_device(tensors, device))
    return [drawn.with_moved(lambda _: next(there)) for drawn in draws]


@dataclass(frozen=True, kw_only=True)
class Augmentation(Spec):
    """Augmentation of training images, in this order: crop, flip, policy, cutout, normalisation, mixup or CutMix."""

    crop: Literal["none", "pad", "resized"] = "none"
    """Random crop: `none`, `pad` (after padding by 4 black pixels) or `resized` (8% to 100% of the area, resized).

    The image set applies `resized` itself, since its pictures may have different sizes.
    """
    flip: bool = False
    """True if each image is mirrored horizontally with probability 0.5."""
    policy: str = "none"
    """Augmentation policy: `none`, TrivialAugment Wide, AutoAugment as found on CIFAR-10, SVHN or ImageNet, or one of a
    plugin.

    Pixels that are moved in from outside the image are black.
    """
    cutout: Annotated[int, Range(minimum=0)] = 0
    """Side of the square that is cut out of each image, in pixels (arXiv 1708.04552); 0 disables cutout.

    The centre is anywhere in the image, so the square may extend beyond the border. As in the authors' code
    (github.com/uoguelph-mlrg/Cutout), the square is 0 in the normalised image: the mean colour, not black.
    """
    mixup: NonNegative = 0.0
    """Parameter alpha, at least 0, of the beta distribution of mixup's weight (arXiv 1710.09412); 0 disables mixup."""
    cutmix: NonNegative = 0.0
    """Parameter alpha, at least 0, of CutMix's beta distribution (arXiv 1905.04899); 0 disables CutMix.

    If mixup is also on, each batch uses one of the two, with probability 0.5 each.
    """

    def draw(self, count: int, image_shape: tuple[int, int, int], generator: torch.Generator) -> Draws:
        """Draw all random choices for a batch.

        The generator advances by an amount that depends only on the settings, the count and the shape.

        Args:
            count: number of images N in the whole batch, over all processes.
            image_shape: (channels, height, width) of the network inputs.
            generator: generator on the CPU.
        """
        _, height, width = image_shape
        drawn: dict[str, Tensor] = {}
        if self.crop == "pad":
            drawn["shifts"] = torch.randint(0, 2 * PADDING + 1, (count, 2), generator=generator)
        if self.crop == "resized":
            drawn["crops"] = torch.rand(count, 4, generator=generator)
        if self.flip:
            drawn["flips"] = torch.randint(0, 2, (count,), generator=generator).bool()
        own = policies[self.policy]
        if own.change is not None:
            drawn["numbers"] = torch.rand(count, own.numbers, generator=generator)
        elif self.policy != "none":
            chosen, magnitudes = operations_of_policies.draw_operations(self.policy, count, (height, width), generator)
            drawn |= {"operations": chosen, "magnitudes": magnitudes}
        if self.cutout:
            anywhere = torch.rand(count, 2, generator=generator, dtype=torch.float64)
            drawn["centres"] = (anywhere * torch.tensor([height, width])).long()
        mixing = self._draw_mixing(height, width, generator) if self.mixup or self.cutmix else None
        return Draws(count=count, mixing=mixing, **drawn)

    def __post_init__(self) -> None:
        """Raise `SpecError` for an unknown policy, besides a value out of range."""
        super().__post_init__()
        policies.check(self.policy)

    def _changed(self, pixels: Tensor, numbers: Tensor) -> Tensor:
        """Return the pixels after a plugin's policy."""
        change = policies[self.policy].change
        assert change is not None
        changed = change(pixels, numbers)
        if not isinstance(changed, torch.Tensor) or (changed.shape, changed.dtype) != (pixels.shape, pixels.dtype):
            what = (
                f"{tuple(changed.shape)} {changed.dtype}"
                if isinstance(changed, torch.Tensor)
                else type(changed).__name__
            )
            rule = f"policy {self.policy}: it must return pixels {tuple(pixels.shape)} {pixels.dtype}, but got {what}"
            raise SpecError(f"{rule}.", field="policy")
        return changed

    def _draw_mixing(self, height: int, width: int, generator: torch.Generator) -> Mixing:
        # A beta variate uses a varying number of random numbers, so it is drawn from a separate generator.
        chance = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        from_cutmix = chance.random() < (0.5 if self.mixup and self.cutmix else float(self.cutmix > 0))
        alpha = self.cutmix if from_cutmix else self.mixup
        share = float(chance.beta(alpha, alpha))
        copied = torch.zeros(height, width, dtype=torch.bool)
        if not from_cutmix:
            return Mixing(share=torch.tensor(share), pixel_share=torch.tensor(share), copied=copied)
        row, column = (int(number) for number in chance.integers([height, width]))
        half_height, half_width = (int(size * (1 - share) ** 0.5) // 2 for size in (height, width))
        top, bottom = max(row - half_height, 0), min(row + half_height, height)
        left, right = max(column - half_width, 0), min(column + half_width, width)
        share = 1 - (bottom - top) * (right - left) / (height * width)
        copied[top:bottom, left:right] = True
        return Mixing(share=torch.tensor(share), pixel_share=torch.tensor(1.0), copied=copied)

    def apply(
        self,
        pixels: Tensor,
        labels: Tensor,
        draws: Draws,
        *,
        mean: Tensor,
        std: Tensor,
        classes: int,
        dtype: torch.dtype | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the inputs and labels for training, on the device of the pixels and without waiting for a GPU.

        Images 2k and 2k+1 are mixed with each other, and an odd last image with itself. Their order is already random,
        and each part of a batch contains whole pairs.

        Args:
            pixels: (N, C, H, W) uint8, with H and W of the draws; random resized crops are already applied.
            labels: (N,) int64 on the same device.
            draws: draws of this augmentation for N images, on the same device.
            mean: (C,) on the same device, as a fraction of the maximum pixel value 255.
            std: (C,), in the same unit.
            classes: number of classes.
            dtype: data type of the inputs. Default: float32.

        Returns:
            Inputs (N, C, H, W), normalised and channels last in memory; labels (N,) unchanged or, if images are
            mixed, probabilities (N, classes) float32.
        """
        if draws.shifts is not None:
            pixels = _cropped(pixels, draws.shifts)
        if draws.flips is not None:
            pixels = _flipped(pixels, draws.flips)
        if draws.operations is not None and draws.magnitudes is not None:
            for chosen, magnitudes in zip(draws.operations.unbind(1), draws.magnitudes.unbind(1), strict=True):
                pixels = operations.perform(pixels, chosen, magnitudes)
        if draws.numbers is not None:
            pixels = self._changed(pixels, draws.numbers)
        inputs = normalise(pixels, mean, std)
        if draws.centres is not None:
            _cut_out(inputs, draws.centres, self.cutout)
        if draws.mixing:
            inputs = self._mixed(inputs, draws.mixing)
            labels = _mixed_labels(labels, draws.mixing.share, classes)
        return inputs.to(dtype or torch.float32), labels

    def _mixed(self, inputs: Tensor, mixing: Mixing) -> Tensor:
        """Return the mixed images; the operations depend on the settings only, not on the draws."""
        partners = inputs[_partners(inputs)]
        if self.mixup:
            inputs = torch.lerp(partners, inputs, mixing.pixel_share)
        return torch.where(mixing.copied, partners, inputs) if self.cutmix else inputs


def normalise(pixels: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return pixels (N, C, H, W) uint8 as float32, (pixels / 255 - mean) / std per channel, channels last in memory."""
    scaled = pixels.float().div_(255).sub_(mean[:, None, None]).div_(std[:, None, None])
    return scaled.contiguous(memory_format=torch.channels_last)


def _cropped(pixels: Tensor, shifts: Tensor) -> Tensor:
    """Return the crop of each padded image that starts at its shift (N, 2), in one gather of whole windows."""
    _, _, height, width = pixels.shape
    windows = torch.nn.functional.pad(pixels, (PADDING,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    down, right = shifts.unbind(1)
    return windows[torch.arange(len(pixels), device=pixels.device), :, down, right]


def _flipped(pixels: Tensor, flips: Tensor) -> Tensor:
    """Return the images, with those of the mask (N,) mirrored."""
    return torch.where(flips[:, None, None, None], pixels.flip(3), pixels)


def _cut_out(inputs: Tensor, centres: Tensor, side: int) -> None:
    """Set a square of each image to 0, in place."""
    inside = []
    for size, start in zip(inputs.shape[2:], (centres - side // 2).unbind(1), strict=True):
        offset = torch.arange(size, device=inputs.device) - start[:, None]
        inside.append((offset >= 0) & (offset < side))
    inputs.masked_fill_(inside[0][:, None, :, None] & inside[1][:, None, None, :], 0)


def _mixed_labels(labels: Tensor, share: Tensor, classes: int) -> Tensor:
    certain = (labels[:, None] == torch.arange(classes, device=labels.device)).float()
    return torch.lerp(certain[_partners(labels)], certain, share)


def _partners(batch: Tensor) -> Tensor:
    """Return the index (N,) of the image that each image of a batch is mixed with: 1, 0, 3, 2, ..."""
    return torch.arange(len(batch), device=batch.device).bitwise_xor(1).clamp(max=len(batch) - 1)
