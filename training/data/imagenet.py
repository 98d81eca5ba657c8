"""ImageNet and Tiny ImageNet, which are stored as image folders."""

from collections.abc import Sequence
from pathlib import Path

import torch

from ...specs import SpecError
from .dataset import DataSource, datasets
from .download import Download, provide
from .folder_files import class_names, list_split
from .in_memory import Images
from .splits import agreed_classes
from .streamed import ImageFiles, Labelled, entries_of, read_images


def load_tiny_imagenet(source: DataSource) -> tuple[Images, Images]:
    """Return the training and validation images; the latter serve as test images."""
    name = "tiny-imagenet-200"
    url, md5 = f"http://cs231n.stanford.edu/{name}.zip", "90528d7ca1a48142e341f4ef8d21d0de"
    downloads = [Download(urls=(url,), md5=md5)]
    folder = provide("tiny_imagenet", source, files={name: None}, downloads=downloads) / name
    classes = class_names(folder / "train")
    _expect_all("tiny_imagenet", folder / "train", classes)
    train = entries_of(list_split(folder / "train", classes, below="images"))
    test = _tiny_imagenet_validation(folder / "val", classes)
    shape = datasets["tiny_imagenet"].image_shape
    return read_images(*train, image_shape=shape), read_images(*test, image_shape=shape)


def _tiny_imagenet_validation(folder: Path, classes: Sequence[str]) -> Labelled:
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
    classes = agreed_classes(train, test)
    _expect_all("imagenet", train, classes)
    how = {"image_shape": datasets["imagenet"].image_shape, "workers": source.workers}
    return ImageFiles(*entries_of(list_split(train, classes)), **how), ImageFiles(
        *entries_of(list_split(test, classes)), **how
    )


def _expect_all(name: str, split: Path, classes: Sequence[str]) -> None:
    expected = datasets[name].classes
    if len(classes) != expected:
        message = f"{split} has {len(classes)} class directories, but {name} has {expected} classes; restore its files"
        raise SpecError(f"{message}.", field="dataset")
