"""Images and augmentation on a GPU: the same values as on the CPU, and no wait."""

import numpy as np
import pytest
import torch
from exeunt.training.augmentation import Augmentation
from exeunt.training.augmentation.augmentation import draws_to_device
from exeunt.training.augmentation.operations import Operation, perform
from exeunt.training.data import ImageFiles, Images
from torch.testing import assert_close
from torchvision.io import write_png

pytestmark = pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")

RANGES = {
    Operation.SHEAR_X: 0.99,
    Operation.SHEAR_Y: 0.99,
    Operation.TRANSLATE_X: 32,
    Operation.TRANSLATE_Y: 32,
    Operation.ROTATE: 135,
    Operation.BRIGHTNESS: 0.99,
    Operation.COLOR: 0.99,
    Operation.CONTRAST: 0.99,
    Operation.SHARPNESS: 0.99,
}
"""Largest magnitudes of the operations that have a sign."""


def pixels_of(count, shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("mix", [{}, {"mixup": 1.0}, {"cutmix": 1.0}], ids=str)
def test_augmented_images_are_those_of_the_cpu(device, without_waits, mix):
    augmentation = Augmentation(crop="pad", flip=True, policy="auto_augment", cutout=5, **mix)
    pixels, labels = pixels_of(31, (3, 32, 32)), torch.arange(31) % 10
    draws = augmentation.draw(31, (3, 32, 32), torch.Generator().manual_seed(0))
    mean, std = torch.linspace(0.3, 0.5, 3), torch.linspace(0.2, 0.3, 3)
    expected = augmentation.apply(pixels, labels, draws, mean=mean, std=std, classes=10)
    there = [tensor.to(device) for tensor in (pixels, labels, mean, std)]
    with without_waits():
        (draws,) = draws_to_device([draws], torch.device(device))
        found = augmentation.apply(*there[:2], draws, mean=there[2], std=there[3], classes=10)
    assert_close([tensor.cpu() for tensor in found], list(expected), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 9, 7)], ids=str)
def test_operations_change_pixels_exactly_as_on_the_cpu(device, without_waits, shape):
    images, generator = pixels_of(600, shape), torch.Generator().manual_seed(1)
    operations = torch.randint(0, len(Operation), (600,), generator=generator)
    draws = torch.rand(600, generator=generator)
    magnitudes = torch.tensor([magnitude(*pair) for pair in zip(operations.tolist(), draws.tolist(), strict=True)])
    there = images.to(device)
    with without_waits():
        changed = perform(there, operations, magnitudes)
    assert torch.equal(changed.cpu(), perform(images, operations, magnitudes))


def magnitude(operation, draw):
    """Return a magnitude in the range of an operation."""
    if operation == Operation.POSTERIZE:
        return float(1 + int(7.99 * draw))
    if operation == Operation.SOLARIZE:
        return 255 * draw
    return RANGES.get(Operation(operation), 0.0) * (2 * draw - 1)


def test_the_device_holds_one_copy_of_the_images(device, without_waits):
    images = Images(pixels=pixels_of(20, (3, 12, 12)), labels=torch.arange(20))
    order = torch.arange(20).split(8)
    boxes = torch.rand((20, 4), generator=torch.Generator().manual_seed(1)).split(8)
    before = torch.cuda.memory_allocated()
    moved = images.to(device)
    assert torch.cuda.memory_allocated() - before < 2 * images.pixels.numel()
    with without_waits():
        plain, parts = list(moved.batches(order)), list(moved.batches(order, boxes))
    assert torch.equal(torch.cat(plain).cpu(), images.pixels)
    here = torch.cat(list(images.batches(order, boxes)))
    assert (torch.cat(parts).cpu().int() - here.int()).abs().max() <= 1


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_batches_arrive_on_the_device(device, workers, tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(10)]
    for number, path in enumerate(paths):
        write_png(pixels_of(1, (3, 30 + 7 * number, 50), seed=number)[0], str(path))
    files = {"paths": paths, "labels": torch.arange(10), "image_shape": (3, 32, 32)}
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0)).split(4)
    boxes = torch.tensor(np.random.default_rng(0).random((10, 4), dtype=np.float32)).split(4)
    here = list(ImageFiles(**files, workers=0).batches(order, boxes))
    there = list(ImageFiles(**files, workers=workers).to(device).batches(order, boxes))
    assert all(batch.device.type == device.type for batch in there)
    assert all(torch.equal(batch.cpu(), other) for batch, other in zip(there, here, strict=True))
