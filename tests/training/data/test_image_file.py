"""Single image files: pixels as stored, and one clause for each kind of damage."""

import os
import struct
import zlib

import numpy as np
import pytest
from exeunt.training.data.image_file import ImageFileError, image_size, orientation, read_pixels, shown
from PIL import Image

from ...pictures import truncate, write_image


def png_of(width, height):
    """Return a PNG of this size that has almost no pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")


def animated(path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def floating(path):
    Image.fromarray(np.zeros((8, 8), np.float32)).save(path)


@pytest.mark.parametrize(
    ("name", "write", "problem"),
    [
        ("a.jpg", lambda path: path.write_bytes(b""), "is empty (0 bytes)"),
        ("a.jpg", lambda path: path.write_bytes(b"\n <!DOCTYPE html>"), "contains HTML or XML"),
        ("a.png", lambda path: path.write_bytes(b"not found"), "has no image in a format that is read"),
        ("a.jpg", lambda path: path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0"), "is a HEIC image"),
        ("a.png", lambda path: path.mkdir(), "is a directory"),
        ("a.png", os.mkfifo, "is not a regular file"),
        ("a.png", lambda path: path.symlink_to("missing"), "is a link to a missing file"),
        ("a.png", lambda path: path.write_bytes(png_of(100_000, 100_000)), "claims more than 179 million pixels"),
        ("a.png", lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n"), "has no image"),
        ("a.gif", animated, "is an animation or document of 3 frames"),
        ("a.webp", animated, "is an animation or document of 3 frames"),
        ("a.tif", floating, "has 32 bits in each pixel"),
    ],
)
def test_a_header_that_is_not_valid_is_one_clause(tmp_path, name, write, problem):
    write(tmp_path / name)
    for read in (image_size, read_pixels):
        with pytest.raises(ImageFileError) as caught:
            read(tmp_path / name)
        assert caught.value.problem.startswith(problem)
        assert f"image file {tmp_path / name} cannot be read: it {problem}" in str(caught.value)
        assert caught.value.field == "dataset"


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "jp2"])
def test_truncated_pixels_are_found_by_decoding(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    write_image(path, 64, 80)
    truncate(path)
    with pytest.raises(ImageFileError) as caught:
        read_pixels(path)
    assert ".cpp" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_content_gives_the_format_and_not_the_name(tmp_path):
    write_image(tmp_path / "a.png", 5, 7, format="BMP")
    assert image_size(tmp_path / "a.png") == (5, 7)


def test_an_orientation_is_reported_and_not_applied_as_in_torchvision(tmp_path):
    from torchvision.datasets.folder import default_loader

    turned = Image.Exif()
    turned[0x0112] = 6
    write_image(tmp_path / "a.jpg", 20, 30, exif=turned)
    write_image(tmp_path / "b.jpg", 20, 30)
    assert [orientation(tmp_path / name) for name in ("a.jpg", "b.jpg")] == [6, 1]
    pixels = read_pixels(tmp_path / "a.jpg")
    assert pixels.shape == (20, 30, 3)
    assert np.array_equal(pixels, np.array(default_loader(str(tmp_path / "a.jpg"))))
    assert image_size(tmp_path / "a.jpg") == (20, 30)


def test_a_photograph_with_a_preview_is_its_first_picture(tmp_path):
    pictures = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    pictures[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=pictures[1:])
    assert read_pixels(tmp_path / "a.jpg")[0, 0].tolist() == [254, 0, 0]


@pytest.mark.parametrize("suffix", ["png", "pgm", "tif"])
def test_of_16_bits_the_upper_8_are_kept(tmp_path, suffix):
    grey = (np.arange(64, dtype=np.uint16) * 1000).reshape(8, 8)
    Image.fromarray(grey).save(tmp_path / f"a.{suffix}")
    assert np.array_equal(read_pixels(tmp_path / f"a.{suffix}")[:, :, 1], grey >> 8)


def test_names_in_any_encoding_are_read_and_shown(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\n.png")
    write_image(tmp_path / "a.png", 5, 7)
    (tmp_path / "a.png").rename(path)
    assert image_size(path) == (5, 7)
    assert shown(path) == f"{tmp_path}/caf\\xe9 .png"
