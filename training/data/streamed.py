"""Images in files, decoded by worker processes while the device trains."""

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
from .in_memory import Images, ImageSet
from .random_resized_crop import middle, random_part

Step = tuple[Tensor, Tensor | None]
"""The numbers (n,) of a batch's images, and the draws (n, 4) for their random parts."""

MOST_WORKERS = 16
CHUNK = 256


class ImageFiles(ImageSet):
    """PNG and JPEG files of any size, read again in every epoch and brought to one size."""

    def __init__(
        self,
        paths: Sequence[str | Path],
        labels: Tensor,
        *,
        image_shape: tuple[int, int, int],
        workers: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """Reads nothing yet.

        Args:
            paths: of N files.
            labels: (N,) int64 class numbers.
            image_shape: (3, size, size), to which every picture is brought, see `crops`.
            workers: processes that decode; 0 decodes in this one. By default as many as torch has threads here, which
                is what Ray gives a trial, and 16 at most.
            device: on which the batches come.
        """
        channels, height, width = image_shape
        if channels != 3 or height != width:
            raise ValueError(f"image files become square images of 3 channels, not {image_shape}")
        self.labels = labels
        self._paths = np.array([os.fsencode(path) for path in paths])
        self._size = height
        self._workers = min(torch.get_num_threads(), MOST_WORKERS) if workers is None else workers
        self._device = torch.device(device)

    def subset(self, which: Tensor) -> Self:
        """The images with these numbers (n,), or those where a mask (N,) is true."""
        chosen = copy.copy(self)
        chosen.labels, chosen._paths = self.labels[which], self._paths[which.numpy()]
        return chosen

    def to(self, device: torch.device | str) -> Self:
        """The same images, whose batches come on this device."""
        moved = copy.copy(self)
        moved._device = torch.device(device)
        return moved

    def batches(self, order: Sequence[Tensor], boxes: Sequence[Tensor] | None = None) -> Iterator[Tensor]:
        """See `ImageSet.batches`. Raises `SpecError` with the file's name for one that cannot be decoded."""
        on_cuda = self._device.type == "cuda"
        loader = DataLoader(
            _Decoder(self._paths, self._size),
            sampler=list(zip(order, boxes or [None] * len(order), strict=True)),
            batch_size=None,  # a step is a batch already
            num_workers=min(self._workers, len(order)),
            pin_memory=on_cuda,
            generator=torch.Generator(),  # or it would draw a seed for its workers from the process's own
        )
        for pixels in loader:
            if isinstance(pixels, SpecError):
                raise pixels
            yield pixels.to(self._device, non_blocking=on_cuda)


class _Decoder(Dataset[Tensor | SpecError]):
    """What a worker process holds: the paths in one array, since a list would be copied as it is counted through."""

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
        except SpecError as error:  # raised in a worker, it would come as the text of a traceback
            return error
        return batch


def decode(path: str | Path) -> Tensor:
    """The picture (3, H, W) uint8 in a PNG or JPEG file; grey becomes three equal channels, transparency is left out.

    Raises `SpecError` with the file's name where it is absent, damaged or of another kind.
    """
    from torchvision.io import ImageReadMode, decode_image  # noqa: PLC0415 - takes two seconds

    try:
        picture = decode_image(os.fspath(path), mode=ImageReadMode.RGB)
    except RuntimeError as error:
        reason = str(error).rpartition("cpp:")[2].partition(", ")[2] or str(error)
        raise SpecError(f"the image file {path} cannot be read: {reason}.", field="dataset") from error
    if picture.dim() != 3:
        raise SpecError(f"the image file {path} is a film of {len(picture)} pictures.", field="dataset")
    if picture.dtype == torch.uint16:
        picture = (picture.int() >> 8).byte()
    return picture


def read_images(paths: Sequence[str | Path], labels: Tensor, *, image_shape: tuple[int, int, int]) -> Images:
    """Decodes files that all have the data set's size (3, H, W) into memory.

    Raises `SpecError` with the file's name for one of another size and for one that cannot be decoded.
    """
    pixels = torch.empty((len(paths), *image_shape), dtype=torch.uint8)

    def read(first: int) -> None:
        for number, path in enumerate(paths[first : first + CHUNK], start=first):
            picture = decode(path)
            if picture.shape != image_shape:
                found, wanted = ("x".join(map(str, shape[1:])) for shape in (picture.shape, image_shape))
                raise SpecError(f"the image file {path} has {found} pixels, others {wanted}.", field="dataset")
            pixels[number] = picture

    with ThreadPoolExecutor(min(torch.get_num_threads(), MOST_WORKERS)) as pool:
        for _ in pool.map(read, range(0, len(paths), CHUNK)):
            pass
    return Images(pixels=pixels, labels=labels)
