"""Datasets stored as image folders: Tiny ImageNet, ImageNet and your own images."""

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from ...specs import SpecError
from .dataset import FOLDER_PREFIX, IMAGENET_MEAN, IMAGENET_STD, LARGE, Dataset, DataSource, datasets
from .download import Download, provide
from .in_memory import Images
from .streamed import ImageFiles, decode, read_images

READ = (".png", ".jpg", ".jpeg")
NOT_READ = (".avif", ".bmp", ".gif", ".heic", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
SMALL = 96
PROBED = 64

Item = TypeVar("Item")
Listing = tuple[list[str], Tensor]
"""Paths of image files and their labels (N,) int64."""


def class_names(split: Path) -> list[str]:
    """Return the names of the class directories of a split, sorted; the index of a class is its position."""
    if not split.is_dir():
        rule = "a dataset needs one directory per class in train/, and in test/ or val/"
        raise SpecError(f"directory not found: {split}; {rule}.", field="dataset")
    return sorted(entry.name for entry in os.scandir(split) if entry.is_dir() and not entry.name.startswith("."))


def list_images(folder: Path) -> list[str]:
    """Return the PNG and JPEG files in a directory, sorted. Raise `SpecError` if it has none, or other formats."""
    if not folder.is_dir():
        raise SpecError(f"directory not found: {folder}; restore it, or correct the path.", field="dataset")
    paths = sorted(entry.path for entry in os.scandir(folder) if not entry.name.startswith("."))
    for path in paths:
        if path.lower().endswith(NOT_READ):
            raise SpecError(f"{path} is neither PNG nor JPEG; convert it or remove it.", field="dataset")
    images = [path for path in paths if path.lower().endswith(READ)]
    if not images:
        raise SpecError(f"class directory {folder} has no PNG or JPEG file; add images or remove it.", field="dataset")
    return images


def list_classes(split: Path, classes: Sequence[str], *, below: str = ".") -> Listing:
    """Return the image files of each class directory of a split, or of the directory `below` in it."""
    listed = [list_images(split / name / below) for name in classes]
    labels = torch.arange(len(classes)).repeat_interleave(torch.tensor([len(paths) for paths in listed]))
    return [path for paths in listed for path in paths], labels


def _agreed_classes(train: Path, test: Path) -> list[str]:
    """Return the class names, which must be equal in both splits."""
    classes, others = class_names(train), class_names(test)
    if len(classes) < 2:
        message = f"{train} has too few class directories: {len(classes)}; a dataset needs at least 2"
        raise SpecError(f"{message}.", field="dataset")
    if classes != others:
        odd = min(set(classes) ^ set(others))
        has, lacks = (train, test) if odd in classes else (test, train)
        message = (
            f"the splits have different classes: {has} has a directory {odd!r}, {lacks} does not; add or remove it."
        )
        raise SpecError(message, field="dataset")
    return classes


def _load_large(train: Path, test: Path, classes: Sequence[str], source: DataSource) -> tuple[ImageFiles, ImageFiles]:
    def files(split: Path) -> ImageFiles:
        paths, labels = list_classes(split, classes)
        return ImageFiles(paths, labels, image_shape=(3, LARGE, LARGE), workers=source.workers)

    return files(train), files(test)


def _load_small(
    train: Path, test: Path, classes: Sequence[str], image_shape: tuple[int, int, int], _: DataSource
) -> tuple[Images, Images]:
    def images(split: Path) -> Images:
        paths, labels = list_classes(split, classes)
        return read_images(paths, labels, image_shape=image_shape)

    return images(train), images(test)


@functools.cache  # called for every trial
def own_folder(name: str) -> Dataset:
    """Return the dataset `folder:PATH`: PATH/train/CLASS/*.png or *.jpg, and the same in test/ (or val/ without test/).

    If all images have one size of at most 96 pixels, they keep it and are held in memory; up to 64 images are checked.
    Otherwise they are streamed from their files in every epoch, as images of 224x224 pixels.

    Raises:
        SpecError: if the path is relative, a directory is missing, or the splits have different classes.
    """
    root = Path(name.removeprefix(FOLDER_PREFIX)).expanduser()
    if not root.is_absolute():  # a worker runs in another directory
        raise SpecError(f"the path of an image folder must begin with / or ~, but got {name!r}.", field="dataset")
    train, test = root / "train", root / ("test" if (root / "test").is_dir() else "val")
    classes = _agreed_classes(train, test)
    small = _small_shape(train, classes)
    return Dataset(
        description=f"images in {root}; test set: {test.name}/",
        image_shape=small or (3, LARGE, LARGE),
        classes=len(classes),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        load=functools.partial(_load_small, train, test, classes, small)
        if small
        else functools.partial(_load_large, train, test, classes),
    )


def _small_shape(train: Path, classes: Sequence[str]) -> tuple[int, int, int] | None:
    """Return (3, H, W) if the checked images have one small size, else None."""
    looked_in = _spread(classes, PROBED)
    paths = [path for name in looked_in for path in _spread(list_images(train / name), PROBED // len(looked_in))]
    shapes = set()
    for path in paths:
        shapes.add(tuple(decode(path).shape))
        if len(shapes) > 1 or max(max(shape) for shape in shapes) > SMALL:
            return None
    return shapes.pop()


def _spread(items: Sequence[Item], count: int) -> Sequence[Item]:
    """Return at most `count` items, evenly spaced."""
    return items[:: -(-len(items) // count)]


def load_tiny_imagenet(source: DataSource) -> tuple[Images, Images]:
    """Return the training and validation images; the latter serve as test images."""
    name = "tiny-imagenet-200"
    url, md5 = f"http://cs231n.stanford.edu/{name}.zip", "90528d7ca1a48142e341f4ef8d21d0de"
    downloads = [Download(urls=(url,), md5=md5)]
    folder = provide("tiny_imagenet", source, files={name: None}, downloads=downloads) / name
    classes = class_names(folder / "train")
    _expect_all("tiny_imagenet", folder / "train", classes)
    train = list_classes(folder / "train", classes, below="images")
    test = _tiny_imagenet_validation(folder / "val", classes)
    shape = datasets["tiny_imagenet"].image_shape
    return read_images(*train, image_shape=shape), read_images(*test, image_shape=shape)


def _tiny_imagenet_validation(folder: Path, classes: Sequence[str]) -> Listing:
    """Return the validation images; a line of val_annotations.txt is a file, its class and a box, separated by tabs."""
    annotations = folder / "val_annotations.txt"
    if not annotations.exists():
        message = f"tiny_imagenet is incomplete: {annotations} not found. Delete {folder.parent} and add --download"
        raise SpecError(f"{message}.", field="dataset")
    number = {name: place for place, name in enumerate(classes)}
    rows = [line.split("\t") for line in annotations.read_text().splitlines()]
    return [str(folder / "images" / row[0]) for row in rows], torch.tensor([number[row[1]] for row in rows])


def load_imagenet(source: DataSource) -> tuple[ImageFiles, ImageFiles]:
    """Return the training and validation images; the latter serve as test images."""
    folder = provide("imagenet", source, files={"imagenet/train": None, "imagenet/val": None}, downloads=[])
    train, test = folder / "imagenet" / "train", folder / "imagenet" / "val"
    classes = _agreed_classes(train, test)
    _expect_all("imagenet", train, classes)
    return _load_large(train, test, classes, source)


def _expect_all(name: str, split: Path, classes: Sequence[str]) -> None:
    expected = datasets[name].classes
    if len(classes) != expected:
        message = f"{split} has {len(classes)} class directories, but {name} has {expected} classes; restore its files"
        raise SpecError(f"{message}.", field="dataset")
