"""Batches of network inputs from the images of a dataset, made on the device that trains."""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..specs import SpecError
from .augmentation import Draws, normalise
from .augmentation.augmentation import draws_to_device
from .data import Dataset, ImageSet
from .distributed import ProcessGroup
from .recipe import Recipe
from .rng import generator_for
from .step import Batch
from .transfer import to_device

MINIMUM_BATCH, MAXIMUM_BATCH = 256, 1024
"""Limits of the size of a batch in evaluation."""
PIXELS_PER_BATCH = 1024 * 32 * 32
"""Pixels per channel of a batch in evaluation, so that large images need no more memory than small ones."""
STEPS_PER_TRANSFER = 32
"""Steps whose random choices are drawn and copied to the device together."""


class TrainingBatches:
    """Training images in random order, augmented and normalised.

    The batch of a step depends only on the seed, the epoch and the step, so training can resume at any step.
    """

    def __init__(
        self,
        images: ImageSet,
        facts: Dataset,
        recipe: Recipe,
        *,
        seed: int,
        device: torch.device,
        processes: ProcessGroup,
    ) -> None:
        """Copy the images to the device, unless they are streamed."""
        self._images = images.to(device)
        self._labels = images.labels.to(device)
        self._facts = facts
        self._recipe = recipe
        self._seed = seed
        self._device = device
        self._processes = processes
        self._pieces = recipe.accumulation * processes.count
        self._normalisation = _normalisation(facts, device)
        self._by_class = images.labels.argsort(stable=True)
        self._class_sizes = images.labels.bincount(minlength=facts.classes)
        self._class_starts = self._class_sizes.cumsum(0) - self._class_sizes
        smallest = 2 * self._pieces
        if min(recipe.batch_size, self.images) < smallest:
            raise SpecError(
                f"`batch_size >= 2 * accumulation * processes` must hold, but a batch of "
                f"{min(recipe.batch_size, self.images)} images is too small for processes={processes.count} and "
                f"accumulation={recipe.accumulation}; use batch_size {smallest} or larger, or a lower accumulation.",
                field="batch_size",
            )
        self.batch_sizes = [len(numbers) for numbers in self._order(0)]
        """Number of images in each step of an epoch, over all processes."""

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch, including a smaller last one."""
        return len(self.batch_sizes)

    @property
    def images(self) -> int:
        """Number of training images."""
        return len(self._labels)

    def steps(
        self, epoch: int, first: int, *, pairs: bool = False, second_view: str | None = None
    ) -> Iterator[list[Batch]]:
        """Iterate over the steps of an epoch: for each step, the parts of the batch that this process trains on.

        Args:
            epoch: index of the epoch, from 0.
            first: index of the first step, from 0.
            pairs: True to add an image of the same class to each image.
            second_view: augmentation policy of a second view of each image. Default: no second view.
        """
        order = self._order(epoch)
        images = self._stream("images", epoch, first, order)
        views = self._stream("second view", epoch, first, order if second_view else [], policy=second_view)
        others = self._stream(
            "pairs", epoch, first, [self._others(epoch, *step) for step in enumerate(order)] if pairs else []
        )
        for step in range(first, len(order)):
            parts = []
            for _ in self._own_pieces(len(order[step])):
                numbers, inputs, labels = next(images)
                other_inputs = next(others)[1] if pairs else None
                weight = self._processes.count * len(numbers) / len(order[step])
                parts.append(
                    Batch(
                        numbers=numbers,
                        inputs=inputs,
                        labels=labels,
                        weight=weight,
                        pairs=other_inputs,
                        second_view=next(views)[1] if second_view else None,
                    )
                )
            yield parts

    def _order(self, epoch: int) -> list[Tensor]:
        """Return the image indices of each batch of an epoch; each image occurs once."""
        numbers = torch.randperm(self.images, generator=generator_for(self._seed, "order", epoch))
        batches = list(numbers.split(self._recipe.batch_size))
        # Batch normalisation cannot train on a single image, and every process needs a part.
        if len(batches) > 1 and len(batches[-1]) < 2 * self._pieces:
            batches[-2:] = [torch.cat(batches[-2:])]
        return batches

    def _own_pieces(self, count: int) -> Sequence[slice]:
        """Return the slices of a batch of `count` images that this process trains on; pairs for mixing stay whole."""
        bounds = [2 * (count // 2 * piece // self._pieces) for piece in range(self._pieces)] + [count]
        return self._processes.own([slice(*ends) for ends in itertools.pairwise(bounds)])

    def _stream(
        self, what: str, epoch: int, first: int, order: Sequence[Tensor], policy: str | None = None
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Iterate over this process's parts from step `first` on: indices, inputs and labels, on the device."""
        recipe = self._recipe.replace(policy=policy) if policy else self._recipe
        steps = range(first, len(order))
        parts = [(step, piece) for step in steps for piece in self._own_pieces(len(order[step]))]
        numbers = [order[step][piece] for step, piece in parts]
        crops = None
        if recipe.crop == "resized":
            drawn = (self._draws(recipe, what, epoch, len(order[step]), step, piece) for step, piece in parts)
            crops = [draws.crops for draws in drawn if draws.crops is not None]
        facts, (mean, std) = self._facts, self._normalisation
        images = zip(to_device(numbers, self._device), self._images.batches(numbers, crops), strict=True)
        for start in range(0, len(parts), STEPS_PER_TRANSFER):
            together = parts[start : start + STEPS_PER_TRANSFER]
            drawn = [self._draws(recipe, what, epoch, len(order[step]), step, piece) for step, piece in together]
            for draws, (own, pixels) in zip(draws_to_device(drawn, self._device), images, strict=False):
                inputs, labels = recipe.apply(
                    pixels, self._labels[own], draws, mean=mean, std=std, classes=facts.classes
                )
                yield own, inputs, labels

    def _draws(self, recipe: Recipe, what: str, epoch: int, count: int, step: int, piece: slice) -> Draws:
        generator = generator_for(self._seed, what, epoch, step)
        return recipe.draw(count, self._facts.image_shape, generator).part(piece.start, piece.stop)

    def _others(self, epoch: int, step: int, numbers: Tensor) -> Tensor:
        """Draw the index (N,) of a random image of the same class for each image in `numbers`."""
        labels = self._images.labels[numbers]
        drawn = torch.rand(
            len(numbers), generator=generator_for(self._seed, "others", epoch, step), dtype=torch.float64
        )
        return self._by_class[self._class_starts[labels] + (drawn * self._class_sizes[labels]).long()]


class EvaluationBatches:
    """Images in order, normalised. From the first evaluation on, their pixels stay on the device, unless streamed."""

    def __init__(self, images: ImageSet, facts: Dataset, device: torch.device, processes: ProcessGroup) -> None:
        """Read nothing yet: the test images may only be read once training has ended."""
        self._source = images
        self._facts = facts
        self._device = device
        self._processes = processes

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Iterate over the network inputs and labels of this process's share of all images.

        Batches have almost equal sizes, so that a compiled network has few graphs.
        """
        images, labels, mean, std = self._on_device
        batches = self._number_of_batches(len(images))
        order = self._processes.own(torch.arange(len(images)).tensor_split(batches))
        own_labels = self._processes.own(labels.tensor_split(batches))
        for pixels, of_batch in zip(images.batches(order), own_labels, strict=True):
            yield normalise(pixels, mean, std), of_batch

    def _number_of_batches(self, images: int) -> int:
        _, height, width = self._facts.image_shape
        largest = min(MAXIMUM_BATCH, max(MINIMUM_BATCH, PIXELS_PER_BATCH // (height * width)))
        return self._processes.count * math.ceil(images / (largest * self._processes.count))

    @functools.cached_property
    def _on_device(self) -> tuple[ImageSet, Tensor, Tensor, Tensor]:
        images = self._source.to(self._device)
        return images, images.labels.to(self._device), *_normalisation(self._facts, self._device)


def _normalisation(facts: Dataset, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.tensor(facts.mean, device=device), torch.tensor(facts.std, device=device)
