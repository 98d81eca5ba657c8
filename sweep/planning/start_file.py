"""The sweep file that `exeunt init` writes for a dataset, with comments for a first sweep."""

import json
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from ...specs import SpecError, one_line
from ...training import DatasetSpec
from ...training.data.dataset import FOLDER_PREFIX

UNFLIPPED = {"digits", "mnist", "svhn"}
"""Datasets whose images mean something else when they are flipped."""
MEDIUM, LARGE = 16, 96
"""Sides of images in pixels, above which larger networks are chosen."""

TEMPLATE = """\
# A first comparison on {dataset}. Plan it:  exeunt plan {file}     Train it:  exeunt sweep {file}

name: {name}  # of the results: exeunt table {name}

# The images. `exeunt list datasets` shows the names; all but digits are read from the directory of --data DIR, and
# --download fetches most of them. NAME@10% takes a tenth of the training images of each class.
# For your own images, write {{path: DIRECTORY, name: Name}}, with DIRECTORY/train/CLASS/ and DIRECTORY/test/CLASS/.
dataset: {entry}

# The networks, each a row of the table. To add one, see `exeunt list architectures`.
architectures: [{student}]

# Every method trains every network once with each seed. Tests of significance need at least three.
seeds: 3

# The training, equal for all methods. `base` is a recipe of `exeunt list recipes`; the other keys change it.
# A short training may rank methods differently from a long one: raise `epochs` for results that you report.
recipe: {{base: fast, epochs: {epochs}, batch_size: {batch}, crop: {crop}, flip: {flip}}}

# The methods, each a column of the table. `exeunt list methods` shows all of them with their settings.
methods:
  baseline: {{}}  # one network without exits; the others are compared with it
  kd: {{teacher: {teacher}}}  # the sweep trains this larger network once, as the teacher
  eed: {{exits: all, output_loss: [mse, kl]}}  # exits that learn from their ensemble; a list is two columns

# A difference of at most so many percentage points counts as equal.
equivalent: 1

# Settings are compared fairly only on images that no choice was made on. Before you tune them, read docs/search.md;
# to choose by validation images, write `protocol: tuning` and `validation: 0.1`.
"""


@dataclass(frozen=True, kw_only=True)
class _Networks:
    student: str
    teacher: str
    epochs: int
    batch: int


SMALL_IMAGES = _Networks(student="resnet8", teacher="resnet20", epochs=20, batch=32)
MEDIUM_IMAGES = _Networks(student="resnet20", teacher="resnet56", epochs=30, batch=128)
LARGE_IMAGES = _Networks(student="torchvision/resnet18", teacher="torchvision/resnet34", epochs=30, batch=64)


def start_file(file: Path, dataset: str) -> str:
    """Return the text of a sweep file for a dataset.

    Args:
        file: path of the sweep file, for its comments and for the path of a folder.
        dataset: name of a dataset, or `folder:PATH`, relative to the working directory.

    Raises:
        SpecError: for an unknown dataset, or a folder that cannot be used.
    """
    if dataset.startswith(FOLDER_PREFIX):
        from ...training.data.image_folder import read_folder  # noqa: PLC0415 (imports NumPy and Pillow)

        root = Path(dataset.removeprefix(FOLDER_PREFIX)).expanduser().absolute()
        shape, name = read_folder(root).image_shape, root.name
        entry = f"{{path: {json.dumps(os.path.relpath(root, file.absolute().parent), ensure_ascii=False)}}}"
    else:
        shape, name, entry = DatasetSpec(name=dataset).facts.image_shape, dataset, json.dumps(dataset)
    side = max(shape[1:])
    networks = SMALL_IMAGES if side <= MEDIUM else MEDIUM_IMAGES if side <= LARGE else LARGE_IMAGES
    return TEMPLATE.format(
        dataset=one_line(name),
        file=shlex.quote(one_line(str(file))),
        name=re.sub(r"[^A-Za-z0-9]+", "-", f"first-{name}").strip("-")[:100],
        entry=entry,
        student=networks.student,
        teacher=networks.teacher,
        epochs=networks.epochs,
        batch=networks.batch,
        crop="none" if side <= MEDIUM else "pad" if side <= LARGE else "resized",
        flip=str(name.partition("@")[0] not in UNFLIPPED).lower(),
    )


def write_start_file(file: Path, dataset: str) -> None:
    """Write the sweep file for a dataset. Raises `SpecError` if the file exists, or as `start_file`."""
    text = start_file(file, dataset)
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise SpecError(f"{file} exists and is not overwritten; name another file: exeunt init FILE") from error
    except FileNotFoundError as error:
        raise SpecError(f"{file}: its directory does not exist; create it, or name another file.") from error
