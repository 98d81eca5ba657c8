import dataclasses

import numpy as np
import pytest
import torch
import torchvision.transforms.v2 as transforms
from exeunt.specs import SpecError
from exeunt.training import datasets
from exeunt.training.augmentation import Augmentation, Draws, normalise
from exeunt.training.augmentation.augmentation import PADDING, Mixing, draws_to_device
from exeunt.training.augmentation.operations import perform
from scipy import stats
from torchvision.transforms import ToTensor

ALL = Augmentation(crop="pad", flip=True, policy="auto_augment_imagenet", cutout=5, mixup=0.4, cutmix=1.0)
SHAPES = [(1, 8, 8), (3, 10, 7)]


def batch_of(count, shape, classes=10):
    generator = torch.Generator().manual_seed(count)
    pixels = torch.randint(1, 256, (count, *shape), dtype=torch.uint8, generator=generator)
    return pixels, torch.randint(0, classes, (count,), generator=generator)


def statistics_of(channels):
    return {"mean": torch.linspace(0.3, 0.5, channels), "std": torch.linspace(0.2, 0.3, channels)}


def applied(augmentation, pixels, labels, draws, **more):
    return augmentation.apply(pixels, labels, draws, classes=10, **statistics_of(pixels.shape[1]), **more)


def augmented(augmentation, count, shape, seed=0):
    """Return a batch, its draws, and the augmented inputs and labels."""
    pixels, labels = batch_of(count, shape)
    draws = augmentation.draw(count, shape, torch.Generator().manual_seed(seed))
    return pixels, labels, draws, *applied(augmentation, pixels, labels, draws)


def one_image(pixels, draws, number, cutout=0):
    """Apply crop, flip, policy, normalisation and cutout to one image, step by step."""
    image = pixels[number].numpy()
    channels, height, width = image.shape
    if draws.shifts is not None:
        down, right = draws.shifts[number].tolist()
        padded = np.zeros((channels, height + 2 * PADDING, width + 2 * PADDING), np.uint8)
        padded[:, PADDING:-PADDING, PADDING:-PADDING] = image
        image = padded[:, down : down + height, right : right + width]
    if draws.flips is not None and draws.flips[number]:
        image = image[:, :, ::-1]
    if draws.operations is not None:
        for operation, magnitude in zip(draws.operations[number], draws.magnitudes[number], strict=True):
            changed = perform(torch.from_numpy(image.copy())[None], operation[None], magnitude[None])
            image = changed[0].numpy()
    mean, std = (values.numpy()[:, None, None] for values in statistics_of(channels).values())
    result = (image / 255 - mean) / std
    if draws.centres is not None:
        row, column = draws.centres[number].tolist()
        for down in range(row - cutout // 2, row - cutout // 2 + cutout):
            for right in range(column - cutout // 2, column - cutout // 2 + cutout):
                if 0 <= down < height and 0 <= right < width:
                    result[:, down, right] = 0
    return result


def a_whole_batch(pixels, labels, draws, cutout=0):
    """Apply the whole augmentation to a batch and its labels, image by image."""
    images = [one_image(pixels, draws, number, cutout) for number in range(len(pixels))]
    certain = [np.eye(10)[label] for label in labels.tolist()]
    if draws.mixing is None:
        return np.stack(images), labels.numpy()
    mixed, probabilities = [], []
    for number in range(len(images)):
        partner = number + 1 if number % 2 == 0 else number - 1
        partner = number if partner == len(images) else partner
        share, pixel_share, copied = (
            value.numpy() for value in (draws.mixing.share, draws.mixing.pixel_share, draws.mixing.copied)
        )
        mixture = pixel_share * images[number] + (1 - pixel_share) * images[partner]
        mixed.append(np.where(copied, images[partner], mixture))
        probabilities.append(share * certain[number] + (1 - share) * certain[partner])
    return np.stack(mixed), np.stack(probabilities)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [1, 2, 7, 8])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"flip": True},
        {"crop": "pad"},
        {"crop": "pad", "flip": True},
        {"policy": "trivial_augment"},
        {"policy": "auto_augment", "crop": "pad"},
        {"policy": "auto_augment_svhn", "cutout": 2},
        {"cutout": 4},
        {"cutout": 5, "flip": True},
        {"cutout": 30},
        {"mixup": 0.5},
        {"cutmix": 1.0},
        {"crop": "pad", "flip": True, "policy": "auto_augment", "cutout": 5, "mixup": 0.4, "cutmix": 1.0},
    ],
    ids=lambda settings: "-".join(settings) or "none",
)
def test_a_batch_is_what_each_step_makes_of_each_image(settings, count, shape):
    augmentation = Augmentation(**settings)
    for seed in range(3):
        pixels, labels, draws, inputs, targets = augmented(augmentation, count, shape, seed)
        expected_inputs, expected_labels = a_whole_batch(pixels, labels, draws, augmentation.cutout)
        np.testing.assert_allclose(inputs.numpy(), expected_inputs, rtol=1e-5, atol=2e-6)
        np.testing.assert_allclose(targets.numpy(), expected_labels, rtol=1e-6, atol=1e-6)
        assert inputs.shape == (count, *shape)
        assert inputs.is_contiguous(memory_format=torch.channels_last)
        assert targets.dtype == (torch.float32 if draws.mixing else torch.int64)


def test_neither_pixels_nor_labels_are_changed():
    pixels, labels, *_ = augmented(ALL, 6, (3, 10, 7))
    for mine, original in zip((pixels, labels), batch_of(6, (3, 10, 7)), strict=True):
        assert torch.equal(mine, original)


def test_inputs_come_in_the_type_that_was_asked_for():
    pixels, labels, draws, inputs, _ = augmented(ALL, 6, (3, 10, 7))
    small, _ = applied(ALL, pixels, labels, draws, dtype=torch.bfloat16)
    assert torch.equal(small, inputs.bfloat16())
    assert small.is_contiguous(memory_format=torch.channels_last)


def test_every_place_of_a_crop_and_both_directions_are_drawn_equally_often():
    draws = Augmentation(crop="pad", flip=True).draw(8100, (3, 32, 32), torch.Generator().manual_seed(0))
    places = draws.shifts[:, 0] * 18 + draws.shifts[:, 1] * 2 + draws.flips
    assert stats.chisquare(places.bincount(minlength=162).numpy()).pvalue > 1e-4


def test_a_square_is_cut_out_around_every_pixel_equally_often():
    draws = Augmentation(cutout=3).draw(5000, (3, 10, 7), torch.Generator().manual_seed(0))
    places = (draws.centres[:, 0] * 7 + draws.centres[:, 1]).bincount(minlength=70)
    assert stats.chisquare(places.numpy()).pvalue > 1e-4


def mixings(count, **settings):
    generator = torch.Generator().manual_seed(0)
    return [Augmentation(**settings).draw(2, (3, 32, 24), generator).mixing for _ in range(count)]


def shares_of(drawn):
    return [float(mixing.share) for mixing in drawn]


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mixups_share_has_the_beta_distribution(alpha):
    drawn = mixings(2000, mixup=alpha)
    assert all(mixing.pixel_share == mixing.share and not mixing.copied.any() for mixing in drawn)
    assert stats.kstest(shares_of(drawn), stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_cutmixs_share_is_the_area_outside_its_box_and_boxes_have_the_papers_distribution():
    drawn = mixings(2000, cutmix=1.0)
    for mixing in drawn:
        rows, columns = mixing.copied.any(1), mixing.copied.any(0)
        assert mixing.copied.shape == (32, 24)
        assert torch.equal(mixing.copied, rows[:, None] & columns)
        for side in (rows, columns):  # the chosen rows and columns are adjacent
            assert side.int().diff().abs().sum() + int(side[0]) + int(side[-1]) in (0, 2)
        assert float(mixing.share) == pytest.approx(1 - int(mixing.copied.sum()) / (32 * 24))
        assert mixing.pixel_share == 1
    # The authors' code (github.com/clovaai/CutMix-PyTorch, rand_bbox), with a separate generator.
    chance = np.random.default_rng(0)
    shares = []
    for _ in range(2000):
        cut = np.sqrt(1 - chance.beta(1, 1))
        area = 1
        for size in (32, 24):
            side, middle = int(size * cut), chance.integers(size)
            area *= np.clip(middle + side // 2, 0, size) - np.clip(middle - side // 2, 0, size)
        shares.append(1 - area / (32 * 24))
    assert stats.ks_2samp(shares_of(drawn), shares).pvalue > 1e-3


def test_with_mixup_and_cutmix_half_of_the_batches_take_each_with_its_own_parameter():
    drawn = mixings(2000, mixup=0.2, cutmix=1.0)
    of_mixup = shares_of(mixing for mixing in drawn if mixing.pixel_share < 1)
    assert stats.binomtest(len(of_mixup), len(drawn)).pvalue > 1e-3
    assert stats.kstest(of_mixup, stats.beta(0.2, 0.2).cdf).pvalue > 1e-3


def test_labels_of_mixed_images_sum_to_one():
    for seed in range(10):
        *_, labels = augmented(ALL, 9, (3, 10, 7), seed)
        assert labels.min() >= 0
        torch.testing.assert_close(labels.sum(1), torch.ones(9))


@pytest.mark.parametrize("crop", ["pad", "resized"])
@pytest.mark.parametrize("mix", [{"mixup": 1.0}, {"cutmix": 1.0}])
def test_processes_that_share_a_batch_make_of_it_what_one_makes(crop, mix):
    augmentation = Augmentation(crop=crop, flip=True, policy="trivial_augment", cutout=3, **mix)
    pixels, labels, draws, inputs, targets = augmented(augmentation, 11, (3, 10, 7))
    for start, stop in [(0, 4), (4, 6), (6, 11)]:
        part = draws.part(start, stop)
        assert part.count == stop - start
        some_inputs, some_targets = applied(augmentation, pixels[start:stop], labels[start:stop], part)
        assert torch.equal(some_inputs, inputs[start:stop])
        assert torch.equal(some_targets, targets[start:stop])


def test_a_part_never_separates_images_that_are_mixed():
    mixed = Augmentation(mixup=1.0).draw(7, (1, 8, 8), torch.Generator())
    for start, stop in [(1, 4), (0, 3)]:
        with pytest.raises(ValueError, match="whole pairs"):
            mixed.part(start, stop)
    assert Augmentation(flip=True).draw(7, (1, 8, 8), torch.Generator()).part(1, 4).flips.shape == (3,)


def equal_draws(first, second):
    if not dataclasses.is_dataclass(first):
        return torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second
    names = [field.name for field in dataclasses.fields(first)]
    return all(equal_draws(getattr(first, name), getattr(second, name)) for name in names)


def test_the_same_generator_draws_the_same_and_another_seed_something_else():
    first, second, other = (ALL.draw(20, (3, 8, 8), torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert equal_draws(first, second)
    assert not equal_draws(first, other)


@pytest.mark.parametrize(
    "augmentation", [Augmentation(), ALL, dataclasses.replace(ALL, crop="resized")], ids=["none", "all", "resized"]
)
def test_the_generator_advances_by_the_same_amount_whatever_is_drawn(augmentation):
    """The number of draws is found by advancing a reference generator to the same state, for each of ten seeds."""
    for count in (1, 2, 31):
        advances = set()
        for seed in range(10):
            generator, reference = (torch.Generator().manual_seed(seed) for _ in range(2))
            augmentation.draw(count, (3, 8, 8), generator)
            numbers = 0
            while not torch.equal(reference.get_state(), generator.get_state()):
                torch.rand((), generator=reference)
                numbers += 1
                assert numbers < 5000
            advances.add(numbers)
        assert len(advances) == 1


def test_random_resized_crops_are_drawn_and_left_to_the_image_set():
    augmentation = Augmentation(crop="resized", flip=True)
    pixels, labels, draws, inputs, _ = augmented(augmentation, 600, (3, 10, 7))
    assert draws.crops.shape == (600, 4)
    assert stats.kstest(draws.crops.flatten().numpy(), stats.uniform.cdf).pvalue > 1e-3
    flipped, _ = applied(augmentation, pixels, labels, Draws(count=600, flips=draws.flips))
    assert torch.equal(inputs, flipped)


@pytest.mark.parametrize("policy", ["none", "trivial_augment", "auto_augment"])
@pytest.mark.parametrize("mix", [{}, {"mixup": 1.0}, {"cutmix": 1.0}])
def test_nothing_that_is_done_depends_on_what_the_pixels_are(policy, mix):
    """Meta tensors have no values, so every operation that would wait for a GPU to read a value fails."""
    augmentation = Augmentation(crop="pad", flip=True, policy=policy, cutout=5, **mix)
    pixels, labels, draws, inputs, targets = augmented(augmentation, 31, (3, 32, 32))
    pixels, labels, mean, std = (tensor.to("meta") for tensor in (pixels, labels, *statistics_of(3).values()))
    (draws,) = draws_to_device([draws], torch.device("meta"))
    found = augmentation.apply(pixels, labels, draws, mean=mean, std=std, classes=10)
    for tensor, expected in zip(found, (inputs, targets), strict=True):
        assert tensor.device.type == "meta"
        assert (tensor.shape, tensor.dtype, tensor.stride()) == (expected.shape, expected.dtype, expected.stride())
    with pytest.raises(RuntimeError, match="meta"):  # the assumption of this test: reading a value fails
        pixels.max().item()


@pytest.mark.parametrize(
    "setting", [{"cutout": -1}, {"mixup": -0.1}, {"cutmix": float("nan")}, {"crop": "padded"}, {"policy": "auto"}]
)
def test_settings_out_of_range_are_refused_by_name(setting):
    with pytest.raises(SpecError) as refused:
        Augmentation(**setting)
    assert refused.value.field in setting


def test_mixing_needs_no_partner_in_a_batch_of_one():
    pixels, labels = batch_of(1, (1, 8, 8))
    copied = torch.zeros(8, 8, dtype=torch.bool)
    copied[2:6, 1:5] = True
    for settings in ({"mixup": 1.0}, {"cutmix": 1.0}, {"mixup": 1.0, "cutmix": 1.0}):
        mixing = Mixing(share=torch.tensor(0.25), pixel_share=torch.tensor(0.25), copied=copied)
        inputs, targets = applied(Augmentation(**settings), pixels, labels, Draws(count=1, mixing=mixing))
        assert torch.equal(inputs, normalise(pixels, **statistics_of(1)))
        assert targets.argmax(1).tolist() == labels.tolist()
        assert targets.sum() == 1


@pytest.mark.parametrize(("mean", "std"), [((0.3053,), (0.376,)), ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))])
def test_normalising_is_torchvisions_to_tensor_and_normalize(mean, std):
    pixels = torch.randint(0, 256, (5, len(mean), 9, 7), dtype=torch.uint8)
    convert = transforms.Compose([ToTensor(), transforms.Normalize(mean, std)])
    expected = torch.stack([convert(image.permute(1, 2, 0).numpy()) for image in pixels])
    assert torch.equal(normalise(pixels, torch.tensor(mean), torch.tensor(std)), expected)


def test_the_digits_have_mean_zero_and_deviation_one_once_normalised():
    facts = datasets["digits"]
    images = normalise(facts.load()[0].pixels, torch.tensor(facts.mean), torch.tensor(facts.std))
    assert float(images.mean()) == pytest.approx(0, abs=5e-3)
    assert float(images.std()) == pytest.approx(1, abs=5e-3)
