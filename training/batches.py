"""The images of a data set as the batches that a network sees, made on the device that trains."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from ..specs import SpecError
from .augmentation import Draws, normalise, on_device
from .data import Dataset, ImageSet
from .distributed import ProcessGroup
from .recipe import Recipe
from .rng import generator_for
from .step import Batch

EVALUATION_BATCH = 256


class TrainingBatches:
    """Training images in random order, augmented and normalised.

    What happens at a step depends on the seed, the epoch and the step alone, so training can go on at any of them.
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
        """Puts the images on the device, unless they are streamed."""
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
                f"`batch_size >= 2 * accumulation * processes` must hold, but {processes.count} process(es) with "
                f"accumulation {recipe.accumulation} cannot share {min(recipe.batch_size, self.images)} images; "
                f"the nearest batch_size is {smallest}.",
                field="batch_size",
            )
        self.batch_sizes = [len(numbers) for numbers in self._order(0)]
        """Of an epoch's steps, over all processes."""

    @property
    def steps_per_epoch(self) -> int:
        """Of the recipe's batches, the last one being what is left."""
        return len(self.batch_sizes)

    @property
    def images(self) -> int:
        """How many there are."""
        return len(self._labels)

    def steps(self, epoch: int, first: int, *, pairs: bool = False) -> Iterator[list[Batch]]:
        """What this process trains on at each step of an epoch, both counted from 0: one batch, or several parts of it.

        Args:
            epoch: which of the training.
            first: the first step of interest.
            pairs: whether each image comes with another one of its class.
        """
        order = self._order(epoch)
        images = self._stream("images", epoch, first, order)
        others = self._stream(
            "pairs", epoch, first, [self._others(epoch, *step) for step in enumerate(order)] if pairs else []
        )
        for step in range(first, len(order)):
            parts = []
            for _ in self._own_pieces(len(order[step])):
                numbers, inputs, labels = next(images)
                other_inputs = next(others)[1] if pairs else None
                weight = self._processes.count * len(numbers) / len(order[step])
                parts.append(Batch(numbers=numbers, inputs=inputs, labels=labels, weight=weight, pairs=other_inputs))
            yield parts

    def _order(self, epoch: int) -> list[Tensor]:
        """The numbers of the images of each batch: every image once."""
        numbers = torch.randperm(self.images, generator=generator_for(self._seed, "order", epoch))
        batches = list(numbers.split(self._recipe.batch_size))
        # Normalisation cannot train on a lone image, and every process needs its part.
        if len(batches) > 1 and len(batches[-1]) < 2 * self._pieces:
            batches[-2:] = [torch.cat(batches[-2:])]
        return batches

    def _own_pieces(self, count: int) -> Sequence[slice]:
        """The parts of a batch of so many images that this process trains on, each of whole pairs for mixing."""
        bounds = [2 * (count // 2 * piece // self._pieces) for piece in range(self._pieces)] + [count]
        return self._processes.own([slice(*ends) for ends in itertools.pairwise(bounds)])

    def _stream(
        self, what: str, epoch: int, first: int, order: Sequence[Tensor]
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """For each of this process's parts from a step on: numbers, inputs and labels, on the device."""
        steps = range(first, len(order))
        parts = [(step, piece) for step in steps for piece in self._own_pieces(len(order[step]))]
        numbers = [order[step][piece] for step, piece in parts]

        draws: Iterable[Draws] = (
            self._draws(what, epoch, step, len(order[step])).part(piece.start, piece.stop) for step, piece in parts
        )
        crops = None
        if self._recipe.crop == "resized":
            draws = list(draws)
            crops = [drawn.crops for drawn in draws if drawn.crops is not None]
        facts, (mean, std) = self._facts, self._normalisation
        for batch, pixels, drawn in zip(numbers, self._images.batches(numbers, crops), draws, strict=True):
            own = on_device(batch, self._device)
            inputs, labels = self._recipe.apply(
                pixels, self._labels[own], drawn, mean=mean, std=std, classes=facts.classes
            )
            yield own, inputs, labels

    def _draws(self, what: str, epoch: int, step: int, count: int) -> Draws:
        return self._recipe.draw(count, self._facts.image_shape, generator_for(self._seed, what, epoch, step))

    def _others(self, epoch: int, step: int, numbers: Tensor) -> Tensor:
        """The numbers (N,) of images drawn at random, each from the class of the image with the number given."""
        labels = self._images.labels[numbers]
        drawn = torch.rand(
            len(numbers), generator=generator_for(self._seed, "others", epoch, step), dtype=torch.float64
        )
        return self._by_class[self._class_starts[labels] + (drawn * self._class_sizes[labels]).long()]


def evaluation_batches(
    images: ImageSet, facts: Dataset, device: torch.device, processes: ProcessGroup
) -> Iterator[tuple[Tensor, Tensor]]:
    """Network inputs and labels of this process's share of all images."""
    order = processes.own(torch.arange(len(images)).split(EVALUATION_BATCH))
    normalisation = _normalisation(facts, device)
    for numbers, pixels in zip(order, images.to(device).batches(order), strict=True):
        yield normalise(pixels, *normalisation), on_device(images.labels[numbers], device)


def _normalisation(facts: Dataset, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.tensor(facts.mean, device=device), torch.tensor(facts.std, device=device)
