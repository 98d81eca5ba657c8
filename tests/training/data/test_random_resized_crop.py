import numpy as np
import pytest
import torch
from exeunt.training.data.random_resized_crop import crop_box, middle, random_part, random_parts
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from torchvision.transforms import RandomResizedCrop, v2


def draws(count, seed=0):
    return torch.rand((count, 4), generator=torch.Generator().manual_seed(seed))


@given(height=st.integers(1, 600), width=st.integers(1, 600), seed=st.integers(0, 2**32 - 1))
def test_a_box_lies_in_its_picture_and_depends_on_its_draws_alone(height, width, seed):
    draw = draws(1, seed)[0]
    top, left, part_height, part_width = crop_box(height, width, draw)
    assert 0 <= top <= top + part_height <= height
    assert 0 <= left <= left + part_width <= width
    assert part_height > 0
    assert part_width > 0
    assert crop_box(height, width, draw.clone()) == (top, left, part_height, part_width)


@pytest.mark.parametrize("shape", [(64, 64), (375, 500), (90, 300), (400, 40)])
def test_boxes_are_distributed_as_torchvisions(shape):
    """Position, size, area and aspect pass two-sample tests; in 400 x 40, most draws end with the centred part."""
    torch.manual_seed(1)
    picture = torch.empty(3, *shape)
    theirs = [RandomResizedCrop.get_params(picture, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)]
    ours = [crop_box(*shape, draw) for draw in draws(4000)]
    for first, second in zip(_statistics(ours), _statistics(theirs), strict=True):
        assert ks_2samp(first, second).pvalue > 1e-3


def _statistics(boxes):
    top, left, height, width = np.array(boxes).T
    return top, left, height, width, height * width, height / width


def test_where_no_part_fits_the_middle_is_taken():
    boxes = {crop_box(10, 1000, draw) for draw in draws(50)}
    assert boxes == {(0, 493, 10, 13)}
    assert {crop_box(1000, 9, draw) for draw in draws(50)} == {(494, 0, 12, 9)}


@given(height=st.integers(8, 300), width=st.integers(8, 300), size=st.sampled_from([8, 32, 56]))
def test_the_middle_is_torchvisions_resize_and_centre_crop(height, width, size):
    picture = torch.randint(
        0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(height)
    )
    reference = v2.Compose([v2.Resize(round(size / 0.875), antialias=True), v2.CenterCrop(size)])
    assert torch.equal(middle(picture, size), reference(picture))


def test_the_middle_of_a_photograph_for_imagenet_is_224_of_256():
    picture = torch.randint(0, 256, (3, 375, 500), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    reference = v2.Compose([v2.Resize(256, antialias=True), v2.CenterCrop(224)])
    assert torch.equal(middle(picture, 224), reference(picture))


def test_a_random_part_is_its_box_resized_by_torchvision():
    picture = torch.randint(0, 256, (3, 90, 120), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for draw in draws(20):
        top, left, height, width = crop_box(90, 120, draw)
        expected = v2.functional.resized_crop(picture, top, left, height, width, [32, 32], antialias=True)
        assert torch.equal(random_part(picture, 32, draw), expected)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 20, 36)])
def test_parts_of_images_in_memory_are_those_of_files_of_that_size(shape):
    images = torch.randint(0, 256, (50, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = random_parts(images, draws(50))
    assert found.dtype == torch.uint8
    for image, part, draw in zip(images, found, draws(50), strict=True):
        box = crop_box(*shape[1:], draw)
        expected = v2.functional.resized_crop(image.float(), *box, list(shape[1:]), antialias=False)
        assert (part - expected).abs().max() <= 0.501
