"""Metadata of the built-in datasets. The modules that load images are imported when images are loaded."""

import importlib
from collections.abc import Callable
from typing import Any

from .dataset import FOLDER_PREFIX, IMAGENET_MEAN, IMAGENET_STD, LARGE, Dataset, DataSource, datasets


def _loader(module: str, function: str, *arguments: str) -> Callable[..., Any]:
    """Return a loader that imports a module of this package when images are loaded, and calls its function."""

    def load(source: DataSource = DataSource()) -> Any:  # noqa: B008 (frozen)
        return getattr(importlib.import_module(f".{module}", __package__), function)(*arguments, source)

    return load


def _own_folder(name: str) -> Dataset:
    from .image_folder import own_folder  # noqa: PLC0415 (imports NumPy and Pillow)

    return own_folder(name)


datasets.register("digits")(
    Dataset(
        description="1,797 scans of handwritten digits from scikit-learn, a fifth of each class in the test set",
        image_shape=(1, 8, 8),
        classes=10,
        mean=(0.3060,),
        std=(0.3763,),
        load=_loader("digits", "load_digits"),
    )
)
datasets.register("cifar10")(
    Dataset(
        description="60,000 photographs of animals and vehicles, including 10,000 test images (Krizhevsky 2009)",
        image_shape=(3, 32, 32),
        classes=10,
        mean=(0.4914, 0.4822, 0.4465),  # over all pixels, as published in many repositories
        std=(0.2470, 0.2435, 0.2616),
        load=_loader("torchvision_sets", "load_cifar", "cifar10"),
    )
)
datasets.register("cifar100")(
    Dataset(
        description="60,000 photographs of objects and living things, including 10,000 test images (Krizhevsky 2009)",
        image_shape=(3, 32, 32),
        classes=100,
        mean=(0.5071, 0.4865, 0.4409),  # over all pixels; verified by a test
        std=(0.2673, 0.2564, 0.2762),
        load=_loader("torchvision_sets", "load_cifar", "cifar100"),
    )
)
datasets.register("svhn")(
    Dataset(
        description="99,289 digits of house numbers, including 26,032 test images; no 'extra' (Netzer et al. 2011)",
        image_shape=(3, 32, 32),
        classes=10,
        mean=(0.4377, 0.4438, 0.4728),  # over all pixels, as published in many repositories
        std=(0.1980, 0.2010, 0.1970),
        load=_loader("torchvision_sets", "load_svhn"),
    )
)
datasets.register("mnist")(
    Dataset(
        description="70,000 scans of handwritten digits, including 10,000 test images (LeCun et al. 1998)",
        image_shape=(1, 28, 28),
        classes=10,
        mean=(0.1307,),  # github.com/pytorch/examples, mnist/main.py
        std=(0.3081,),
        load=_loader("torchvision_sets", "load_mnist", "mnist"),
    )
)
datasets.register("fashion_mnist")(
    Dataset(
        description="70,000 grey photographs of clothes, including 10,000 test images (Xiao et al. 2017)",
        image_shape=(1, 28, 28),
        classes=10,
        mean=(0.2860,),  # over all pixels, as published in many repositories
        std=(0.3530,),
        load=_loader("torchvision_sets", "load_mnist", "fashion_mnist"),
    )
)
datasets.register("stl10")(
    Dataset(
        description="13,000 labelled photographs, including 8,000 test images (Coates et al. 2011)",
        image_shape=(3, 96, 96),
        classes=10,
        mean=(0.4467, 0.4398, 0.4066),  # over all pixels, as published in many repositories
        std=(0.2603, 0.2566, 0.2713),
        load=_loader("torchvision_sets", "load_stl10"),
    )
)
datasets.register("tiny_imagenet")(
    Dataset(
        description="100,000 photographs from ImageNet; 10,000 validation images as test set (Stanford CS231n 2015)",
        image_shape=(3, 64, 64),
        classes=200,
        mean=(0.4802, 0.4481, 0.3975),  # of all pixels, as published in many repositories
        std=(0.2770, 0.2691, 0.2821),
        load=_loader("imagenet", "load_tiny_imagenet"),
    )
)
datasets.register("imagenet")(
    Dataset(
        description="1.28 million photographs; 50,000 validation images as test set (Russakovsky et al. 2015)",
        image_shape=(3, LARGE, LARGE),
        classes=1000,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        load=_loader("imagenet", "load_imagenet"),
    )
)
datasets.register_pattern(f"{FOLDER_PREFIX}*", _own_folder)
