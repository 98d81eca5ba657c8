"""Images in files, decoded by worker processes during training."""

import copy
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ...specs import SpecError
from .folder_files import ImageEntry
from .image_file import read_pixels, shown
from .in_memory import Images, ImageSet
from .random_resized_crop import middle, random_part

Step = tuple[Tensor, Tensor | None]
"""Indices (n,) of the images of a batch, and the draws (n, 4) for their random parts, or None for evaluation."""

Labelled = tuple[list[str], Tensor]
"""Paths of image files and their labels (N,) int64."""

MOST_WORKERS = 16
CHUNK = 256


class ImageFiles(ImageSet):
    """Image files of any size, read in every epoch and resized to one size."""

    def __init__(
        self,
        paths: Sequence[str | Path],
        labels: Tensor,
        *,
        image_shape: tuple[int, int, int],
        workers: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """Create the image set; files are read later, by `batches`.

        Args:
            paths: paths of N files.
            labels: class indices (N,) int64.
            image_shape: (3, size, size), the common size of all images, see `random_resized_crop`.
            workers: number of decoding processes; 0 decodes in this process. Default: the number of torch threads, at
                most 16; Ray sets it to the number of CPUs of the trial.
            device: device of the batches.
        """
        channels, height, width = image_shape
        if channels != 3 or height != width:
            raise ValueError(f"image_shape must be (3, size, size), square images of 3 channels, but got {image_shape}")
        self.labels = labels
        self._paths = np.array([os.fsencode(path) for path in paths])
        self._size = height
        self._workers = min(torch.get_num_threads(), MOST_WORKERS) if workers is None else workers
        self._device = torch.device(device)

    def subset(self, which: Tensor) -> Self:
        """Return the images with these indices (n,), or those where a mask (N,) is True."""
        chosen = copy.copy(self)
        chosen.labels, chosen._paths = self.labels[which], self._paths[which.numpy()]
        return chosen

    def to(self, device: torch.device | str) -> Self:
        """Return the same images, with batches on this device."""
        moved = copy.copy(self)
        moved._device = torch.device(device)
        return moved

    def batches(self, order: Sequence[Tensor], boxes: Sequence[Tensor] | None = None) -> Iterator[Tensor]:
        """See `ImageSet.batches`. Raises `SpecError` with the path of a file that cannot be decoded."""
        on_cuda = self._device.type == "cuda"
        loader = DataLoader(
            _Decoder(self._paths, self._size),
            sampler=list(zip(order, boxes or [None] * len(order), strict=True)),
            batch_size=None,  # each step is already a batch
            num_workers=min(self._workers, len(order)),
            pin_memory=on_cuda,
            generator=torch.Generator(),  # by default, workers' seeds come from the global generator
        )
        for pixels in loader:
            if isinstance(pixels, SpecError):
                raise pixels
            yield pixels.to(self._device, non_blocking=on_cuda)


class _Decoder(Dataset[Tensor | SpecError]):
    """Decoder in a worker process; an array of paths stays shared, while reference counts would copy a list."""

    def __init__(self, paths: np.ndarray, size: int) -> None:
        self._paths: Sequence[bytes] = paths  # type: ignore[assignment]
        self._size = size

    def __getitem__(self, step: Step) -> Tensor | SpecError:
        numbers, draws = step
        batch = torch.empty((len(numbers), 3, self._size, self._size), dtype=torch.uint8)
        try:
            for place, number in enumerate(numbers.tolist()):
                picture = decode(os.fsdecode(self._paths[number]))
                batch[place] = (
                    middle(picture, self._size) if draws is None else random_part(picture, self._size, draws[place])
                )
        except SpecError as error:  # an error raised in a worker arrives as the text of a traceback
            return error
        return batch


def decode(path: str | Path) -> Tensor:
    """Return the picture (3, H, W) uint8 in an image file, see `read_pixels`.

    Raises:
        ImageFileError: with the path, if the file is missing, damaged or in another format.
    """
    return torch.from_numpy(read_pixels(path)).permute(2, 0, 1)


def entries_of(listed: Sequence[ImageEntry]) -> Labelled:
    """Return the paths and labels of listed images."""
    return [path for path, _ in listed], torch.tensor([number for _, number in listed], dtype=torch.int64)


def read_images(paths: Sequence[str | Path], labels: Tensor, *, image_shape: tuple[int, int, int]) -> Images:
    """Decode files that all have the dataset's shape (3, H, W) into memory.

    Raises:
        SpecError: with the path of a file that has another size or cannot be decoded.
    """
    pixels = torch.empty((len(paths), *image_shape), dtype=torch.uint8)

    def read(first: int) -> None:
        for number, path in enumerate(paths[first : first + CHUNK], start=first):
            picture = decode(path)
            if picture.shape != image_shape:
                found, wanted = ("x".join(map(str, shape[1:])) for shape in (picture.shape, image_shape))
                message = f"image file {shown(path)} has {found} pixels, but the other images have {wanted}; resize it"
                raise SpecError(f"{message}.", field="dataset")
            pixels[number] = picture

    with ThreadPoolExecutor(min(torch.get_num_threads(), MOST_WORKERS)) as pool:
        for _ in pool.map(read, range(0, len(paths), CHUNK)):
            pass
    return Images(pixels=pixels, labels=labels)
