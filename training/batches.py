"""The images of a data set as the batches that a network sees, made on the device that holds them."""

from collections.abc import Iterator

import torch
from torch import Tensor

from .augmentation import crop_flip, normalise
from .data import Dataset, Images
from .recipe import Recipe

EVALUATION_BATCH = 512


class TrainingBatches:
    """Training images in random order, augmented and normalised; all chance comes from one generator on the CPU."""

    def __init__(
        self, images: Images, facts: Dataset, recipe: Recipe, device: torch.device, generator: torch.Generator
    ) -> None:
        """Puts the images on the device."""
        self._images = images.to(device)
        self._normalisation = _normalisation(facts, device)
        self._recipe = recipe
        self._generator = generator
        self._by_class = images.labels.argsort(stable=True)
        self._class_sizes = images.labels.bincount(minlength=facts.classes)
        self._class_starts = self._class_sizes.cumsum(0) - self._class_sizes
        self._labels_on_cpu = images.labels

    def __len__(self) -> int:
        """How many images there are."""
        return len(self._labels_on_cpu)

    def epoch(self) -> list[Tensor]:
        """The numbers of the images of each batch of an epoch: every image once."""
        batches = list(torch.randperm(len(self), generator=self._generator).split(self._recipe.batch_size))
        if len(batches) > 1 and len(batches[-1]) == 1:  # batch normalisation cannot train on a lone image
            batches[-2:] = [torch.cat(batches[-2:])]
        return batches

    def batch(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Network inputs (N, C, H, W) and labels (N,) of the images with these numbers (N,)."""
        numbers = numbers.to(self._images.labels.device)
        pixels = self._images.pixels[numbers]
        if self._recipe.augmentation == "crop_flip":
            pixels = crop_flip(pixels, self._generator)
        return normalise(pixels, *self._normalisation), self._images.labels[numbers]

    def of_the_same_classes(self, numbers: Tensor) -> Tensor:
        """The numbers (N,) of images drawn at random, each from the class of the image with the number given."""
        labels = self._labels_on_cpu[numbers]
        chance = torch.rand(len(numbers), generator=self._generator, dtype=torch.float64)
        return self._by_class[self._class_starts[labels] + (chance * self._class_sizes[labels]).long()]


def evaluation_batches(images: Images, facts: Dataset, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Network inputs and labels of all images, in order."""
    normalisation = _normalisation(facts, device)
    images = images.to(device)
    for pixels, labels in zip(
        images.pixels.split(EVALUATION_BATCH), images.labels.split(EVALUATION_BATCH), strict=True
    ):
        yield normalise(pixels, *normalisation), labels


def _normalisation(facts: Dataset, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.tensor(facts.mean, device=device), torch.tensor(facts.std, device=device)
