"""Single image files: the formats that are read, their headers, their pixels, and what is wrong with a file."""

import functools
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from ...specs import SpecError, one_line

SUFFIXES = (
    *(".apng", ".avif", ".bmp", ".dib", ".gif", ".ico", ".j2c", ".j2k", ".jfif", ".jp2", ".jpc", ".jpe", ".jpeg"),
    *(".jpf", ".jpg", ".jpx", ".mpo", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".sgi", ".tif"),
    *(".tiff", ".webp"),
)
"""Ends of the names of image files, in lower case. The content of a file determines its format, not its name."""
FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "AVIF", "ICO", "PCX", "QOI", "SGI"),
)
"""Formats of Pillow that are read. Formats that other programs decode are left out."""
ORIENTATION = 0x0112
"""Tag of EXIF with the orientation in which an image is shown; 1 is as stored."""
HEIC = (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypmif1", b"ftypmsf1")


class ImageFileError(SpecError):
    """Image file that cannot be read; `problem` is a clause without the path."""

    def __init__(self, message: str, *, problem: str = "", field: str | None = "dataset") -> None:
        super().__init__(message, field=field)
        self.problem = problem


def is_image_name(name: str) -> bool:
    """Return True if a file of this name should be an image that is read."""
    return name.lower().endswith(SUFFIXES)


def shown(path: str | Path) -> str:
    """Return a path for a message; bytes that are not UTF-8 are escaped as hexadecimal numbers."""
    return one_line(os.fsencode(path).decode(errors="backslashreplace"))


def image_size(path: str | Path) -> tuple[int, int]:
    """Return height and width in pixels from the header of an image file.

    Raises:
        ImageFileError: if this is no image file that is read. Pixels are not decoded, so they can still be damaged.
    """
    with opened(path) as image:
        return image.height, image.width


def orientation(path: str | Path) -> int:
    """Return the EXIF orientation of an image file, from 1 (as stored) to 8."""
    with opened(path) as image:
        return image.getexif().get(ORIENTATION, 1)


def read_pixels(path: str | Path) -> np.ndarray:
    """Return the pixels (height, width, 3) uint8 of an image file as stored, grey as three equal channels.

    As in torchvision's `ImageFolder`, an EXIF orientation is not applied and transparency is ignored. Of 16 bits, the
    upper 8 are kept.

    Raises:
        ImageFileError: with the path, if the file is missing, damaged or in another format.
    """
    with opened(path) as image:
        if image.mode.startswith("I"):
            grey = (np.asarray(image) >> 8).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))


@contextmanager
def opened(path: str | Path) -> Iterator[Image.Image]:
    """Open an image file whose header is valid; errors of the block are those of the file.

    Raises:
        ImageFileError: with the path and the problem.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):  # a pipe would wait for a writer
            raise _Refused("is a directory" if Path(path).is_dir() else "is not a regular file")
        with Image.open(path, formats=_formats()) as image:
            _check(image)
            yield image
    except Exception as error:  # Pillow's readers raise arbitrary exceptions for damaged files
        problem = _problem(path, error)
        raise ImageFileError(
            f"image file {shown(path)} cannot be read: it {problem}. Replace or remove it.", problem=problem
        ) from error


class _Refused(Exception):
    """Valid file that is not read."""


@functools.cache
def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _check(image: Image.Image) -> None:
    if getattr(image, "is_animated", False) and image.format != "MPO":  # MPO: a photograph with a preview
        raise _Refused(f"is an animation or document of {getattr(image, 'n_frames', 2)} frames, not a single image")
    if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):
        raise _Refused("has 32 bits in each pixel and channel; at most 16 are read")


def _problem(path: str | Path, error: Exception) -> str:
    """Return what is wrong with a file, as a clause whose subject is the file."""
    most = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6  # Pillow warns at half of its limit
    match error:
        case _Refused():
            problem = str(error)
        case Image.DecompressionBombError():
            problem = f"claims more than {most:.0f} million pixels, so it is not decoded"
        case Image.UnidentifiedImageError():
            problem = _unidentified(path)
        case FileNotFoundError():
            problem = "is a link to a missing file" if Path(path).is_symlink() else "does not exist"
        case OSError() if error.strerror:
            problem = f"cannot be opened ({error.strerror})"
        case MemoryError():
            problem = "does not fit into memory"
        case _:
            problem = f"is damaged ({one_line(str(error)).rstrip('.') or type(error).__name__})"
    return problem


def _unidentified(path: str | Path) -> str:
    with Path(path).open("rb") as file:
        beginning = file.read(64)
    if not beginning:
        return "is empty (0 bytes)"
    if beginning.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return "contains HTML or XML"
    if beginning[4:12] in HEIC:
        return "is a HEIC image, which is not read; convert it to PNG or JPEG"
    return "has no image in a format that is read"
