"""Image folders for tests, written with Pillow."""

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def write_image(path: Path, height: int = 8, width: int = 8, **settings: Any) -> None:
    """Write an image with seeded noise, and its directories."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(str(path.name))).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **settings)


def write_folder(
    root: Path, splits: Iterable[str] = ("train", "test"), *, count: int = 2, side: int = 8, suffix: str = "png"
) -> Path:
    """Write an image folder with the classes cat and dog, `count` images each, and return its path."""
    for split, name, number in itertools.product(splits, ("cat", "dog"), range(count)):
        write_image(root / split / name / f"{number}.{suffix}", side, side)
    return root


def truncate(path: Path) -> None:
    """Cut the last third off a file, so that its header stays valid."""
    content = path.read_bytes()
    path.write_bytes(content[: 2 * len(content) // 3])
