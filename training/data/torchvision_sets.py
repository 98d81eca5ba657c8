"""Public datasets of small images, with the URLs and checksums of torchvision.

The data directory has torchvision's layout. Images are read into memory completely.
"""

import functools
import gzip
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from .dataset import Dataset, DataSource, datasets
from .download import Download, provide
from .in_memory import Images
from .matlab import read_arrays

# torchvision is imported late, since the import takes two seconds that a sweep of the digits does not need.
# ruff: noqa: PLC0415


def _load_cifar(name: str, source: DataSource) -> tuple[Images, Images]:
    from torchvision.datasets import CIFAR10, CIFAR100

    facts = {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]
    folder = provide(
        name,
        source,
        files={f"{facts.base_folder}/{file}": md5 for file, md5 in [*facts.train_list, *facts.test_list]},
        downloads=[Download(urls=(facts.url,), md5=facts.tgz_md5)],
    )
    folder /= facts.base_folder
    return _read_cifar(folder, facts.train_list), _read_cifar(folder, facts.test_list)


def _read_cifar(folder: Path, listed: Sequence[Sequence[str]]) -> Images:
    """Return the images of pickled files, which are safe to load since their checksums are verified."""
    parts = [pickle.loads((folder / file).read_bytes(), encoding="bytes") for file, _ in listed]
    labels = [label for part in parts for label in part.get(b"fine_labels", part.get(b"labels"))]
    pixels = [torch.from_numpy(part[b"data"]) for part in parts]
    whole = torch.cat(pixels) if len(pixels) > 1 else pixels[0]
    return Images(pixels=whole.view(-1, 3, 32, 32), labels=torch.tensor(labels))


def _load_mnist(name: str, source: DataSource) -> tuple[Images, Images]:
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


def _load_svhn(source: DataSource) -> tuple[Images, Images]:
    from torchvision.datasets import SVHN

    kept = [SVHN.split_list[split] for split in ("train", "test")]
    folder = provide(
        "svhn",
        source,
        files={file: md5 for _, file, md5 in kept},
        downloads=[Download(urls=(url,), md5=md5) for url, _, md5 in kept],
    )
    train, test = (_read_svhn(folder / file) for _, file, _ in kept)
    return train, test


def _read_svhn(path: Path) -> Images:
    content = read_arrays(path)
    pixels = torch.from_numpy(np.ascontiguousarray(content["X"].transpose(3, 2, 0, 1)))
    return Images(pixels=pixels, labels=torch.from_numpy(content["y"][:, 0].astype(np.int64) % 10))  # 10 denotes 0


def _load_stl10(source: DataSource) -> tuple[Images, Images]:
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
    labels = np.fromfile(folder / f"{split}_y.bin", dtype=np.uint8).astype(np.int64) - 1
    return Images(pixels=torch.from_numpy(np.ascontiguousarray(pixels)), labels=torch.from_numpy(labels))


datasets.register("cifar10")(
    Dataset(
        description="60,000 photographs of animals and vehicles, including 10,000 test images (Krizhevsky 2009)",
        image_shape=(3, 32, 32),
        classes=10,
        mean=(0.4914, 0.4822, 0.4465),  # over all pixels, as published in many repositories
        std=(0.2470, 0.2435, 0.2616),
        load=functools.partial(_load_cifar, "cifar10"),
    )
)
datasets.register("cifar100")(
    Dataset(
        description="60,000 photographs of objects and living things, including 10,000 test images (Krizhevsky 2009)",
        image_shape=(3, 32, 32),
        classes=100,
        mean=(0.5071, 0.4865, 0.4409),  # over all pixels; verified by a test
        std=(0.2673, 0.2564, 0.2762),
        load=functools.partial(_load_cifar, "cifar100"),
    )
)
datasets.register("svhn")(
    Dataset(
        description="99,289 digits of house numbers, including 26,032 test images; no 'extra' (Netzer et al. 2011)",
        image_shape=(3, 32, 32),
        classes=10,
        mean=(0.4377, 0.4438, 0.4728),  # over all pixels, as published in many repositories
        std=(0.1980, 0.2010, 0.1970),
        load=_load_svhn,
    )
)
datasets.register("mnist")(
    Dataset(
        description="70,000 scans of handwritten digits, including 10,000 test images (LeCun et al. 1998)",
        image_shape=(1, 28, 28),
        classes=10,
        mean=(0.1307,),  # github.com/pytorch/examples, mnist/main.py
        std=(0.3081,),
        load=functools.partial(_load_mnist, "mnist"),
    )
)
datasets.register("fashion_mnist")(
    Dataset(
        description="70,000 grey photographs of clothes, including 10,000 test images (Xiao et al. 2017)",
        image_shape=(1, 28, 28),
        classes=10,
        mean=(0.2860,),  # over all pixels, as published in many repositories
        std=(0.3530,),
        load=functools.partial(_load_mnist, "fashion_mnist"),
    )
)
datasets.register("stl10")(
    Dataset(
        description="13,000 labelled photographs, including 8,000 test images (Coates et al. 2011)",
        image_shape=(3, 96, 96),
        classes=10,
        mean=(0.4467, 0.4398, 0.4066),  # over all pixels, as published in many repositories
        std=(0.2603, 0.2566, 0.2713),
        load=_load_stl10,
    )
)
