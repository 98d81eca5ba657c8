"""Check of one dataset that decodes every image: `exeunt doctor --dataset`."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..specs import SpecError
from ..training import DatasetSpec, DataSource
from ..training.data import share_of
from ..training.data.dataset import FOLDER_PREFIX
from ..training.data.folder_files import files_below, is_text, kinds
from ..training.data.image_file import ImageFileError, is_image_name, orientation, read_pixels, shown
from ..training.data.image_folder import read_folder
from .doctor import Finding
from .terminal.counts import counted

LISTED = 40
"""Largest number of damaged files that are listed."""


def read_dataset(name: str, data: Path | None) -> Iterator[Finding]:
    """Read every image of a dataset, and report all that cannot be read.

    Args:
        name: name of a registered dataset, or `folder:PATH` with a path that may be relative to the current directory.
        data: dataset directory.
    """
    whole, _ = share_of(name)
    if whole.startswith(FOLDER_PREFIX):
        yield from _read_folder(Path(whole.removeprefix(FOLDER_PREFIX)).expanduser().absolute())
        return
    try:
        training, test = DatasetSpec(name=whole).facts.load(DataSource(directory=data))
    except SpecError as error:
        yield Finding("wrong", "data", f"{whole}: {error}", "a sweep of this dataset would fail with this error")
    else:
        yield Finding("ok", "data", f"{whole}: {len(training)} training and {len(test)} test images")


def _read_folder(root: Path) -> Iterator[Finding]:
    """Decode all images in a folder, whether its splits are complete or not; then check the splits."""
    try:
        files = files_below(root)
    except SpecError as error:
        yield Finding("wrong", "data", str(error))
        return
    images = [path for path in files if is_image_name(path)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # Pillow decodes without the lock of the interpreter
        results = dict(zip(images, pool.map(_problem, images), strict=True))
    bad = {path: problem for path, (problem, _) in results.items() if problem}
    if bad:
        lines = [f"{shown(os.path.relpath(path, root))} {problem}" for path, problem in list(bad.items())[:LISTED]]
        more = [f"and {len(bad) - LISTED} more"] if len(bad) > LISTED else []
        what = "\n".join([f"{len(bad)} of {len(images)} images in {shown(root)} cannot be read:", *lines, *more])
        yield Finding("wrong", "data", what, "replace or remove these files")
    elif images:
        yield Finding("ok", "data", f"{shown(root)}: all {counted(len(images), 'image')} can be read")
    others = [path for path in files if not is_image_name(path) and not is_text(path)]
    if others:
        listed = ", ".join(shown(os.path.relpath(path, root)) for path in others[:5])
        what = f"{counted(len(others), 'file')} in {shown(root)} not read ({kinds(others)}), such as {listed}"
        yield Finding("advice", "data", what, "convert images to PNG or JPEG; remove other files")
    if turned := [path for path, (_, is_turned) in results.items() if is_turned]:
        what = f"{counted(len(turned), 'image')} with an EXIF orientation, such as {shown(turned[0])}"
        remedy = "networks see images as stored, without the rotation; rotate the pixels if it matters"
        yield Finding("advice", "data", what, remedy)
    if not bad:
        try:
            folder = read_folder(root)
        except SpecError as error:
            yield Finding("wrong", "data", str(error))
        else:
            splits, shape = folder.splits, "x".join(map(str, folder.image_shape[1:]))
            what = f"training set: {splits.train.name}/, test set: {splits.test.name}/"
            yield Finding("ok", "data", f"{what}, {len(splits.classes)} classes, used as {shape} pixels")
            yield from (Finding("advice", "data", note) for note in folder.notes)


def _problem(path: str) -> tuple[str, bool]:
    """Return what is wrong with an image, empty if nothing is, and True if EXIF turns it."""
    try:
        read_pixels(path)
        return "", orientation(path) != 1
    except ImageFileError as error:
        return error.problem, False
