import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from exeunt.specs import SpecError
from exeunt.training.data import DatasetSpec, DataSource, ImageFiles, Images, datasets, headers
from exeunt.training.data.folder_files import list_split
from exeunt.training.data.image_file import image_size
from PIL import Image
from torchvision.datasets import ImageFolder

pytestmark = pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")


def load(name, **source):
    return datasets[name].load(DataSource(**source))


@pytest.fixture
def tree(tmp_path, write_picture):
    """Function that writes an image folder of two splits and three classes, with `count` pictures in each class."""

    def write(height, width, *, test="test", suffix="png", count=3):
        pictures = {}
        for split in ("train", test):
            for name in ("cat", "ant", "Bee"):
                for number in range(count):
                    path = tmp_path / split / name / f"{number}.{suffix}"
                    pictures[path] = write_picture(path, height, width)
        return pictures

    return write


@pytest.mark.parametrize(("shape", "test"), [((32, 32), "test"), ((48, 96), "val")])
def test_small_images_of_one_size_are_held_in_memory_as_they_are(tmp_path, tree, shape, test):
    pictures = tree(*shape, test=test)
    facts = datasets[f"folder:{tmp_path}"]
    assert facts.image_shape == (3, *shape)
    assert facts.classes == 3
    for images, split in zip(load(f"folder:{tmp_path}"), ("train", test), strict=True):
        assert isinstance(images, Images)
        assert images.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
        expected = [pictures[tmp_path / split / name / f"{n}.png"] for name in ("Bee", "ant", "cat") for n in range(3)]
        assert torch.equal(images.pixels, torch.stack(expected))


@pytest.mark.parametrize("shape", [(97, 40), (120, 150)])
def test_larger_images_are_read_from_their_files_as_224(tmp_path, tree, shape):
    tree(*shape, suffix="JPEG")
    name = f"folder:{tmp_path}"
    assert datasets[name].image_shape == (3, 224, 224)
    train, test = load(name, workers=0)
    assert isinstance(train, ImageFiles)
    assert train.labels.tolist() == test.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert next(train.batches([torch.arange(9)])).shape == (9, 3, 224, 224)


def test_small_images_of_several_sizes_are_read_as_224(tmp_path, tree, write_picture):
    tree(32, 32)
    write_picture(tmp_path / "train/cat/2.png", 32, 33)
    assert datasets[f"folder:{tmp_path}"].image_shape == (3, 224, 224)


def test_test_comes_before_val(tmp_path, tree):
    tree(8, 8)
    tree(8, 8, test="val", count=5)
    assert [len(images) for images in load(f"folder:{tmp_path}")] == [15, 9]


def test_a_class_that_one_split_lacks_is_named(tmp_path, tree, write_picture):
    tree(8, 8)
    write_picture(tmp_path / "test/cow/0.png", 8, 8)
    with pytest.raises(SpecError, match=r"test has a directory 'cow', .*train does not"):
        DatasetSpec(name=f"folder:{tmp_path}")


def test_hidden_files_and_other_files_than_images_are_passed_over(tmp_path, tree):
    tree(8, 8)
    (tmp_path / "train/.cache").mkdir()
    (tmp_path / "train/cat/notes.txt").write_text("a cat")
    (tmp_path / "train/cat/._0.png").write_bytes(b"left by a Mac")
    (tmp_path / "train/cat/Thumbs.db").write_bytes(b"left by Windows")
    (tmp_path / "train/__MACOSX/cat").mkdir(parents=True)
    name = f"folder:{tmp_path}"
    assert [len(images) for images in load(name)] == [9, 9]
    assert datasets[name].notes == ("texts beside the images are not read: 1 .txt.",)


@pytest.mark.parametrize("name", ["3.heif", "3.npy", "more/3.raw", "3", "../3.png"])
def test_files_that_are_not_read_are_refused_rather_than_left_out(tmp_path, tree, name):
    tree(8, 8)
    path = tmp_path / "train/cat" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"?")
    named = path.resolve().relative_to(tmp_path / "train")
    with pytest.raises(SpecError, match=rf"1 file is not read in .*/train \(1 .*\): {named}\. Move images into"):
        DatasetSpec(name=f"folder:{tmp_path}")


def test_all_files_that_are_not_read_are_counted(tmp_path, tree):
    tree(8, 8)
    for number, name in enumerate(("cat", "ant", "cat", "Bee")):
        (tmp_path / "train" / name / f"{number}.heif").write_bytes(b"?")
    (tmp_path / "train/cat/a.npy").write_bytes(b"?")
    expected = r"5 files are not read .* \(4 \.heif, 1 \.npy\): Bee/3\.heif, ant/1\.heif, cat/0\.heif and 2 more"
    with pytest.raises(SpecError, match=expected):
        DatasetSpec(name=f"folder:{tmp_path}")


def test_an_empty_class_is_named(tmp_path, tree):
    tree(8, 8)
    for split in ("train", "test"):
        (tmp_path / split / "dog").mkdir()
    with pytest.raises(SpecError, match="train/dog has no image file"):
        DatasetSpec(name=f"folder:{tmp_path}")


@pytest.mark.parametrize("split", ["train", "test"])
def test_one_image_of_another_size_is_found_wherever_it_is(tmp_path, tree, write_picture, split):
    tree(8, 8, count=30)
    write_picture(tmp_path / split / "ant/7.png", 8, 9)
    facts = datasets[f"folder:{tmp_path}"]
    assert facts.image_shape == (3, 224, 224)
    assert facts.training_images == 90
    (note,) = facts.notes
    assert f"179 of 8x8, 1 of 8x9 ({split}/ant/7.png). All are resized to 224x224" in note


@pytest.mark.parametrize(
    ("path", "message"),
    [("birds", "begin with / or ~, but got 'folder:birds'"), ("/no/such/place", "not found: /no/such/place; ")],
)
def test_a_path_that_is_no_data_set_is_refused(path, message):
    with pytest.raises(SpecError, match=message):
        DatasetSpec(name=f"folder:{path}")


def test_one_class_is_no_classification(tmp_path, write_picture):
    for split in ("train", "val"):
        write_picture(tmp_path / split / "cat" / "0.png", 8, 8)
    with pytest.raises(SpecError, match="train has too few class directories: 1; a dataset needs at least 2"):
        DatasetSpec(name=f"folder:{tmp_path}")


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "bmp", "tiff", "webp", "ppm", "jp2", "gif"])
def test_every_format_of_pillow_is_read(tmp_path, suffix):
    pixels = torch.randint(0, 256, (9, 7, 1), generator=torch.Generator().manual_seed(0)).byte().repeat(1, 1, 3)
    lossless = {"webp": {"lossless": True}, "jpe": {"quality": 95}, "jfif": {"quality": 95}}
    for split, name in itertools.product(("train", "val"), ("a", "b")):
        (tmp_path / split / name).mkdir(parents=True)
        path = tmp_path / split / name / f"x.{suffix.upper()}"
        kind = {"format": "JPEG"} if suffix in ("jpe", "jfif") else {}
        Image.fromarray(pixels.numpy()).save(path, **kind, **lossless.get(suffix, {}))
    train, _ = load(f"folder:{tmp_path}")
    tolerance = 40 if suffix in ("jpe", "jfif", "jp2") else 0
    assert (train.pixels.int() - pixels.permute(2, 0, 1).int()).abs().max() <= tolerance


def test_images_are_found_where_torchvision_finds_them(tmp_path, tree, write_picture):
    tree(8, 8)
    for name in ("cat/more/deep/x", "cat/more-of/y", "ant/0/z", "cat/10"):
        write_picture(tmp_path / "train" / f"{name}.png", 8, 8)
    (tmp_path / "elsewhere").mkdir()
    write_picture(tmp_path / "elsewhere/linked.png", 8, 8)
    (tmp_path / "train/Bee/link").symlink_to(tmp_path / "elsewhere")
    expected = ImageFolder(tmp_path / "train").samples
    assert list_split(tmp_path / "train", ["Bee", "ant", "cat"]) == expected
    assert len(load(f"folder:{tmp_path}")[0]) == len(expected) == 14


def test_a_link_to_a_directory_above_is_refused(tmp_path, tree):
    tree(8, 8)
    (tmp_path / "train/cat/again").symlink_to(tmp_path / "train")
    with pytest.raises(SpecError, match="train/cat/again is a link to a directory that contains it"):
        DatasetSpec(name=f"folder:{tmp_path}")


def test_damaged_headers_are_all_counted_in_few_lines_without_a_sample(tmp_path, tree):
    tree(8, 8, count=30)
    for number in range(9):
        (tmp_path / "test/ant" / f"{number}.png").write_bytes(b"" if number % 2 else b"<html>no such picture</html>")
    with pytest.raises(SpecError) as caught:
        DatasetSpec(name=f"folder:{tmp_path}")
    lines = str(caught.value).splitlines()
    assert len(lines) == 8
    assert lines[0].startswith("9 of 180 images in ")
    assert lines[1:3] == ["  test/ant/0.png contains HTML or XML", "  test/ant/1.png is empty (0 bytes)"]
    assert lines[-2:] == [
        "  and 4 more",
        "Replace or remove them. To read every image and list all damaged ones: "
        f"exeunt doctor --dataset 'folder:{tmp_path}'",
    ]


def test_headers_are_read_once_and_again_only_if_a_file_changed(tmp_path, tree, write_picture, monkeypatch):
    tree(8, 8, count=4)
    paths = [path for path, _ in list_split(tmp_path / "train", ["ant", "cat"])]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(headers, "CACHED_FROM", 1)
    read = []
    monkeypatch.setattr(headers, "image_size", lambda path: read.append(path) or image_size(path))
    sizes = headers.image_sizes(tmp_path, paths, "x")
    assert sizes == dict.fromkeys(paths, (8, 8))
    assert len(read) == 8
    assert headers.image_sizes(tmp_path, paths, "x") == sizes
    assert len(read) == 8
    write_picture(Path(paths[3]), 9, 10)
    assert headers.image_sizes(tmp_path, paths, "x")[paths[3]] == (9, 10)
    assert read[8:] == [paths[3]]
    (cached,) = (tmp_path / "cache/exeunt/images").iterdir()
    cached.write_text('{"version": 1, "images": [')
    assert len(headers.image_sizes(tmp_path, paths, "x")) == 8
    assert len(read) == 17


def test_a_trial_on_a_folder_can_be_stored(tmp_path, tree, make_trial):
    tree(16, 16)
    spec = replace(make_trial(), dataset=DatasetSpec(name=f"folder:{tmp_path}"))
    assert type(spec).from_dict(spec.to_dict()) == spec
    assert spec.dataset_facts.image_shape == (3, 16, 16)


@pytest.fixture
def tiny_imagenet(tmp_path, write_picture):
    """Directory with two training images and one validation image of each of 200 classes, as in Stanford's archive."""
    root = tmp_path / "tiny-imagenet-200"
    names = [f"n{number * 37 % 200:08}" for number in range(200)]
    for name in names:
        for number in range(2):
            write_picture(root / "train" / name / "images" / f"{name}_{number}.JPEG", 64, 64)
    for number in range(200):
        write_picture(root / "val" / "images" / f"val_{number}.JPEG", 64, 64)
    rows = [f"val_{number}.JPEG\t{name}\t0\t32\t44\t62" for number, name in enumerate(names)]
    (root / "val" / "val_annotations.txt").write_text("\n".join(rows) + "\n")
    return root


def test_tiny_imagenet_is_its_folders_and_its_annotations(tmp_path, tiny_imagenet):
    from exeunt.training.data.streamed import decode

    train, test = load("tiny_imagenet", directory=tmp_path)
    assert train.labels.bincount().tolist() == [2] * 200
    assert test.labels.tolist() == [number * 37 % 200 for number in range(200)]
    assert torch.equal(train.pixels[4], decode(tiny_imagenet / "train/n00000002/images/n00000002_0.JPEG"))
    assert torch.equal(test.pixels[7], decode(tiny_imagenet / "val/images/val_7.JPEG"))
    (tiny_imagenet / "val/val_annotations.txt").unlink()
    with pytest.raises(SpecError, match=r"tiny_imagenet is incomplete: .*val_annotations\.txt not found"):
        load("tiny_imagenet", directory=tmp_path)


def test_imagenet_is_read_from_its_folders_and_never_fetched(tmp_path, write_picture):
    with pytest.raises(SpecError, match=r"imagenet is missing from .*forbid a download"):
        load("imagenet", directory=tmp_path, download=True)
    root = tmp_path / "imagenet"
    write_picture(root / "one.JPEG", 60, 80)
    for split in ("train", "val"):
        for number in range(1000):
            folder = root / split / f"n{number:08}"
            folder.mkdir(parents=True)
            (folder / f"{split}.JPEG").hardlink_to(root / "one.JPEG")
    train, test = load("imagenet", directory=tmp_path, workers=0)
    assert train.labels.tolist() == test.labels.tolist() == list(range(1000))
    assert next(test.batches([torch.tensor([3, 999])])).shape == (2, 3, 224, 224)
    for split in ("train", "val"):
        (root / split / "n00000999" / f"{split}.JPEG").unlink()
        (root / split / "n00000999").rmdir()
    with pytest.raises(SpecError, match="train has 999 class directories, but imagenet has 1000"):
        load("imagenet", directory=tmp_path)
