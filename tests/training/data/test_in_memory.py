import pytest
import torch
from exeunt.training.data import Images
from exeunt.training.data.random_resized_crop import random_parts


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (20, 3, 12, 12), dtype=torch.uint8, generator=generator)
    return Images(pixels=pixels, labels=torch.arange(20))


def test_batches_are_the_images_in_the_order_asked_for(images):
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1)).split(7)
    found = list(images.batches(order))
    assert [len(batch) for batch in found] == [7, 7, 6]
    assert torch.equal(torch.cat(found), images.pixels[torch.cat(order)])


def test_boxes_cut_a_part_of_each_image(images):
    order = torch.arange(20).split(8)
    boxes = torch.rand((20, 4), generator=torch.Generator().manual_seed(1)).split(8)
    found = list(images.batches(order, boxes))
    assert torch.equal(torch.cat(found), random_parts(images.pixels, torch.cat(boxes)))
    assert all(map(torch.equal, images.batches(order[1:], boxes[1:]), found[1:]))


def test_a_subset_has_the_chosen_images(images):
    for which in (torch.tensor([4, 2]), torch.arange(20) == 3):
        chosen = images.subset(which)
        assert torch.equal(chosen.pixels, images.pixels[which])
        assert torch.equal(chosen.labels, images.labels[which])


def test_there_is_one_copy_of_the_pixels(images):
    moved = images.to("cpu")
    next(moved.batches([torch.arange(3)]))
    assert moved.pixels.data_ptr() == images.pixels.data_ptr()
    assert images.to("meta").labels.device.type == "cpu"
