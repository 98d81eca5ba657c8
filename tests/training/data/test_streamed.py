import pickle

import numpy as np
import pytest
import torch
from exeunt.specs import SpecError
from exeunt.training.data import ImageFiles
from exeunt.training.data.random_resized_crop import middle, random_part
from exeunt.training.data.streamed import decode, read_images
from PIL import Image

pytestmark = pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")  # of write_jpeg

SHAPE = (3, 32, 32)
WORKERS = pytest.mark.parametrize("workers", [0, 2])


@pytest.fixture
def written(tmp_path, write_picture):
    """Paths and pixels of ten pictures of different sizes, half of them JPEG."""
    paths = [tmp_path / f"{number}.{'png' if number % 2 else 'jpg'}" for number in range(10)]
    return paths, [write_picture(path, 30 + 7 * number, 50) for number, path in enumerate(paths)]


def files(paths, workers=0):
    return ImageFiles(paths, torch.arange(len(paths)), image_shape=SHAPE, workers=workers)


def an_epoch(count, batch):
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(count, generator=generator).split(batch)
    return order, [torch.rand((len(numbers), 4), generator=generator) for numbers in order]


@WORKERS
def test_batches_are_the_decoded_files_in_the_order_asked_for(written, workers):
    paths, _ = written
    order, boxes = an_epoch(10, 4)
    images = files(paths, workers)
    tested, trained = list(images.batches(order)), list(images.batches(order, boxes))
    assert [batch.shape for batch in tested] == [(4, *SHAPE), (4, *SHAPE), (2, *SHAPE)]
    for step, numbers in enumerate(order):
        pictures = [decode(paths[number]) for number in numbers]
        assert torch.equal(tested[step], torch.stack([middle(picture, 32) for picture in pictures]))
        parts = [random_part(picture, 32, draw) for picture, draw in zip(pictures, boxes[step], strict=True)]
        assert torch.equal(trained[step], torch.stack(parts))
    assert not torch.equal(tested[0], trained[0])


@WORKERS
def test_an_epoch_continued_in_its_middle_gives_the_rest_of_the_whole_epoch(written, workers):
    order, boxes = an_epoch(10, 2)
    images = files(written[0], workers)
    whole = list(images.batches(order, boxes))
    rest = list(images.batches(order[2:], boxes[2:]))
    assert len(rest) == 3
    assert all(map(torch.equal, rest, whole[2:]))


@WORKERS
def test_the_processes_own_generator_is_left_alone(written, workers):
    order, boxes = an_epoch(10, 5)
    before = torch.get_rng_state()
    list(files(written[0], workers).batches(order, boxes))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_subset_has_the_chosen_images(written):
    images = files(written[0])
    mask = torch.arange(10) % 3 == 0
    for chosen in (images.subset(mask), images.subset(torch.tensor([0, 3, 6, 9]))):
        assert chosen.labels.tolist() == [0, 3, 6, 9]
        expected = next(images.batches([torch.tensor([9, 0])]))
        assert torch.equal(next(chosen.batches([torch.tensor([3, 0])])), expected)
    assert len(images) == 10


def test_nothing_is_given_for_an_empty_order(written):
    assert list(files(written[0], workers=2).batches([])) == []


@WORKERS
@pytest.mark.parametrize("damage", ["cut", "empty", "text", "absent"])
def test_a_file_that_cannot_be_read_is_named(written, workers, damage):
    paths, _ = written
    content = paths[7].read_bytes()
    paths[7].write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"hello"}.get(damage, b""))
    if damage == "absent":
        paths[7].unlink()
    batches = files(paths, workers).batches(torch.arange(10).split(5))
    next(batches)
    with pytest.raises(SpecError, match=r"7\.png cannot be read: .+") as caught:
        next(batches)
    assert "Traceback" not in str(caught.value)
    assert ".cpp" not in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "suffix", "tolerance"),
    [
        *((mode, "png", 0) for mode in ("RGBA", "P", "L", "LA", "1", "I;16")),
        *((mode, "jpg", 3) for mode in ("L", "RGB", "CMYK")),
    ],
)
def test_every_kind_of_pixel_becomes_three_channels_as_pillow_converts_them(tmp_path, mode, suffix, tolerance):
    ramp = np.arange(48 * 64).reshape(48, 64)
    colours = np.stack([ramp // 12, ramp % 64 * 4, ramp // 64 * 5], axis=2).astype(np.uint8)
    path = tmp_path / f"picture.{suffix}"
    if mode == "I;16":
        Image.fromarray((ramp * 21).astype(np.uint16)).save(path)
        expected = np.repeat((ramp * 21 >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
    else:
        Image.fromarray(colours).convert(mode).save(path)
        expected = np.array(Image.open(path).convert("RGB"))
    found = decode(path)
    assert found.dtype == torch.uint8
    assert (found.permute(1, 2, 0).int() - torch.from_numpy(expected).int()).abs().max() <= tolerance


def test_a_film_is_refused(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(SpecError, match=r"film\.gif cannot be read: it is an animation or document of 2 frames"):
        decode(tmp_path / "film.gif")


def test_files_of_one_size_are_read_into_memory_as_they_are(tmp_path, write_picture):
    paths = [tmp_path / f"{number}.png" for number in range(300)]
    pictures = [write_picture(path, 6, 8) for path in paths]
    images = read_images(paths, torch.arange(300), image_shape=(3, 6, 8))
    assert torch.equal(images.pixels, torch.stack(pictures))
    assert torch.equal(images.labels, torch.arange(300))
    write_picture(tmp_path / "odd.png", 6, 9)
    with pytest.raises(SpecError, match=r"odd\.png has 6x9 pixels, but the other images have 6x8"):
        read_images([*paths, tmp_path / "odd.png"], torch.arange(301), image_shape=(3, 6, 8))


def test_files_can_be_handed_to_another_process(written):
    images = files(written[0])
    again = pickle.loads(pickle.dumps(images))
    order = [torch.arange(10)]
    assert torch.equal(next(again.batches(order)), next(images.batches(order)))


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 32, 48)])
def test_shapes_that_files_are_not_brought_to_are_refused(shape):
    with pytest.raises(ValueError, match="square images of 3 channels"):
        ImageFiles([], torch.zeros(0, dtype=torch.int64), image_shape=shape)
