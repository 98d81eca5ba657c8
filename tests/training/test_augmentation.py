import numpy as np
import pytest
import torch
import torchvision.transforms.v2 as transforms
from exeunt.training import datasets
from exeunt.training.augmentation import PADDING, crop_flip, normalise
from torch.nn.functional import pad
from torchvision.transforms import ToTensor

PLACES = [(down, right, flip) for down in range(9) for right in range(9) for flip in (False, True)]


def one_crop(image, down, right, flip):
    """What `crop_flip` does to one image, step by step."""
    cropped = pad(image, (PADDING,) * 4)[:, down : down + image.shape[1], right : right + image.shape[2]]
    return cropped.flip(2) if flip else cropped


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 8, 8), (3, 10, 7)])
def test_every_image_is_one_crop_of_its_padded_self_and_every_crop_occurs_equally_often(channels, height, width):
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(1, 256, (channels, height, width), dtype=torch.uint8, generator=generator)
    count = 50 * len(PLACES)
    crops = crop_flip(image.expand(count, -1, -1, -1), generator)
    known = {one_crop(image, *place).numpy().tobytes(): number for number, place in enumerate(PLACES)}
    assert len(known) == len(PLACES)
    seen = np.bincount([known[crop.contiguous().numpy().tobytes()] for crop in crops], minlength=len(PLACES))
    chi_square = float(((seen - 50) ** 2 / 50).sum())
    assert chi_square < 240  # 161 degrees of freedom: exceeded once in 20,000


def test_every_image_of_a_batch_is_cropped_from_itself_and_on_its_own():
    images = torch.randint(1, 256, (200, 3, 8, 8), dtype=torch.uint8)
    crops = crop_flip(images, torch.Generator().manual_seed(1))
    chosen = []
    for image, crop in zip(images, crops, strict=True):
        chosen += [place for place in PLACES if torch.equal(one_crop(image, *place), crop)]
    assert len(chosen) == len(images)
    assert len(set(chosen)) > 80


def test_the_same_generator_crops_the_same():
    images = torch.randint(0, 256, (20, 1, 8, 8), dtype=torch.uint8)
    first, second, other = (crop_flip(images, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("mean", "std"), [((0.3053,), (0.376,)), ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))])
def test_normalising_is_torchvisions_to_tensor_and_normalize(mean, std):
    pixels = torch.randint(0, 256, (5, len(mean), 9, 7), dtype=torch.uint8)
    convert = transforms.Compose([ToTensor(), transforms.Normalize(mean, std)])
    expected = torch.stack([convert(image.permute(1, 2, 0).numpy()) for image in pixels])
    normalised = normalise(pixels, torch.tensor(mean), torch.tensor(std))
    torch.testing.assert_close(normalised, expected, rtol=1e-6, atol=1e-6)


def test_the_digits_have_mean_zero_and_deviation_one_once_normalised():
    facts = datasets["digits"]
    images = normalise(facts.load()[0].pixels, torch.tensor(facts.mean), torch.tensor(facts.std))
    assert float(images.mean()) == pytest.approx(0, abs=5e-3)
    assert float(images.std()) == pytest.approx(1, abs=5e-3)
