"""Synthetic datasets, made in memory: noise over a pattern of the class, which a network learns in a few steps."""

import functools

import torch
from exeunt.training import Dataset, DataSource, Images, datasets

SHAPE = (3, 32, 32)
CLASSES = 10


def register(name: str = "noise", *, train: int = 4096, test: int = 512) -> None:
    """Register a dataset of 10 classes with this number of training and test images (3, 32, 32)."""
    datasets.register(name)(
        Dataset(
            description=f"{train + test} synthetic images, including {test} test images",
            image_shape=SHAPE,
            classes=CLASSES,
            mean=(0.5, 0.5, 0.5),
            std=(0.2, 0.2, 0.2),
            load=functools.partial(_load, train, test),
        )
    )


@functools.cache
def _load(train: int, test: int, source: DataSource = DataSource()) -> tuple[Images, Images]:  # noqa: ARG001, B008
    generator = torch.Generator().manual_seed(0)
    patterns = torch.randint(0, 128, (CLASSES, 3, 4, 4), dtype=torch.uint8, generator=generator)
    patterns = patterns.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)

    def images(count: int) -> Images:
        labels = torch.arange(count) % CLASSES
        pixels = torch.randint(0, 128, (count, *SHAPE), dtype=torch.uint8, generator=generator)
        return Images(pixels=pixels + patterns[labels], labels=labels)

    return images(train), images(test)
