"""Public datasets of small images, with the URLs and checksums of torchvision.

The data directory has torchvision's layout. Images are read into memory completely.
"""

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ...specs import SpecError
from .dataset import DataSource
from .download import Download, provide
from .in_memory import Images

# torchvision is imported late, since the import takes two seconds that a sweep of the digits does not need.
# ruff: noqa: PLC0415


def load_cifar(name: str, source: DataSource) -> tuple[Images, Images]:
    """Return the training and test images of `cifar10` or `cifar100`."""
    from torchvision.datasets import CIFAR10, CIFAR100

    facts = {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]
    folder = provide(
        name,
        source,
        files={
            f"{facts.base_folder}/{file}": md5
            for file, md5 in [*facts.train_list, *facts.test_list, (facts.meta["filename"], facts.meta["md5"])]
        },
        downloads=[Download(urls=(facts.url,), md5=facts.tgz_md5)],
    )
    parts = [facts(folder, train=is_train) for is_train in (True, False)]
    train, test = (_images(part.data.transpose(0, 3, 1, 2), part.targets) for part in parts)
    return train, test


def _images(pixels: np.ndarray, labels: Sequence[int] | np.ndarray) -> Images:
    """Return images with their own memory; pixels have shape (N, C, H, W)."""
    return Images(pixels=torch.from_numpy(np.ascontiguousarray(pixels)), labels=torch.tensor(labels, dtype=torch.int64))


def load_mnist(name: str, source: DataSource) -> tuple[Images, Images]:
    """Return the training and test images of `mnist` or `fashion_mnist`."""
    from torchvision.datasets import MNIST, FashionMNIST

    facts = {"mnist": MNIST, "fashion_mnist": FashionMNIST}[name]
    raw = f"{facts.__name__}/raw"
    folder = provide(
        name,
        source,
        files={f"{raw}/{file}": md5 for file, md5 in facts.resources},
        downloads=[
            Download(urls=tuple(mirror + file for mirror in facts.mirrors), md5=md5, folder=raw)
            for file, md5 in facts.resources
        ],
    )
    files = [folder / raw / file for file, _ in facts.resources]  # training images and labels, then test
    return _read_mnist(*files[:2]), _read_mnist(*files[2:])


def _read_mnist(images: Path, labels: Path) -> Images:
    """Return images in MNIST's IDX format: a header of 4 bytes plus 4 per dimension, then 1 byte per value."""
    pixels = np.frombuffer(bytearray(gzip.decompress(images.read_bytes())), dtype=np.uint8, offset=16)
    numbers = np.frombuffer(gzip.decompress(labels.read_bytes()), dtype=np.uint8, offset=8)
    return Images(pixels=torch.from_numpy(pixels).view(-1, 1, 28, 28), labels=torch.tensor(numbers, dtype=torch.int64))


def load_svhn(source: DataSource) -> tuple[Images, Images]:
    """Return the training and test images, without the extra ones."""
    from torchvision.datasets import SVHN

    kept = [SVHN.split_list[split] for split in ("train", "test")]
    folder = provide(
        "svhn",
        source,
        files={file: md5 for _, file, md5 in kept},
        downloads=[Download(urls=(url,), md5=md5) for url, _, md5 in kept],
    )
    try:
        train, test = (SVHN(folder, split=split) for split in ("train", "test"))
    except ModuleNotFoundError as error:
        raise SpecError(f"svhn needs scipy: {error}. Install it with: pip install scipy", field="dataset") from error
    return _images(train.data, train.labels), _images(test.data, test.labels)


def load_stl10(source: DataSource) -> tuple[Images, Images]:
    """Return the labelled training and test images."""
    from torchvision.datasets import STL10

    listed = [(file, md5) for file, md5 in [*STL10.train_list, *STL10.test_list] if not file.startswith("unlabeled")]
    folder = provide(
        "stl10",
        source,
        files={f"{STL10.base_folder}/{file}": md5 for file, md5 in listed},
        downloads=[Download(urls=(STL10.url,), md5=STL10.tgz_md5)],
    )
    return _read_stl10(folder / STL10.base_folder, "train"), _read_stl10(folder / STL10.base_folder, "test")


def _read_stl10(folder: Path, split: str) -> Images:
    pixels = np.fromfile(folder / f"{split}_X.bin", dtype=np.uint8).reshape(-1, 3, 96, 96).transpose(0, 1, 3, 2)
    return _images(pixels, np.fromfile(folder / f"{split}_y.bin", dtype=np.uint8).astype(np.int64) - 1)
