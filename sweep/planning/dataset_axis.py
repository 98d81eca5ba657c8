"""The key `dataset` of a sweep file: names of datasets, and folders of images with a name."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pydantic

from ...specs import SpecError, is_printable
from ...training import DatasetSpec, datasets
from ...training.data import share_of
from ...training.data.dataset import FOLDER_PREFIX
from .parsing import axis, names, validated
from .yaml_document import Document, Place


class Folder(pydantic.BaseModel):
    """A folder of images as it is written in a sweep file."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    path: Annotated[str, pydantic.Field(min_length=1)]
    """Directory of the images, relative to the sweep file."""
    name: str | None = None
    """Name in tables and records. Default: the last part of the path."""
    train: str | None = None
    """Directory with the training images, relative to `path`."""
    test: str | None = None
    """Directory with the test images, relative to `path`."""
    share: str | None = None
    """Percentage of the training images of each class, such as `20%`."""


@dataclass(frozen=True, kw_only=True)
class DatasetAxis:
    """Datasets of a block, with what a user should know about them."""

    specs: list[DatasetSpec]
    paths: dict[Place, str]
    """Absolute path of each folder by the place of its path in the file."""
    notes: list[str]


def read_datasets(written: object, document: Document, place: Place) -> DatasetAxis:
    """Return the datasets of an axis. Folders are read: every file is listed, and every header is checked.

    The document notes the names that are not registered, and the folders that cannot be used.
    """
    found = DatasetAxis(specs=[], paths={}, notes=[])
    for position, item in enumerate(axis(written, document, place)):
        at = (*place, position) if isinstance(written, list) else place
        with document.noting():
            if isinstance(item, dict):
                _add_folder(found, validated(Folder, item, document, at), document, at)
            else:
                _add_named(found, item, document, at)
    folders = {spec.name: spec for spec in found.specs if spec.folder}
    for spec in found.specs:
        if spec.name in folders and spec != folders[spec.name]:
            raise document.error(place, f"several datasets are called {spec.name!r}; give each its own `name`.")
    return found


def _add_named(found: DatasetAxis, name: Any, document: Document, at: Place) -> None:
    names(datasets, name, document, at)
    found.specs.append(_checked(lambda: DatasetSpec(name=name), document, at))
    if share_of(name)[0].startswith(FOLDER_PREFIX):
        found.notes.extend(f"dataset {name}: {note}" for note in datasets[name].notes)


def _add_folder(found: DatasetAxis, folder: Folder, document: Document, at: Place) -> None:
    from ...training.data.image_folder import named_folder, read_folder  # noqa: PLC0415 (imports NumPy and Pillow)

    root = document.path.absolute().parent / Path(folder.path).expanduser()
    name = _name(folder, root, document, at)
    arguments = root, folder.train, folder.test
    notes = _checked(lambda: read_folder(*arguments).notes, document, at)
    found.specs.append(_checked(lambda: named_folder(name, *arguments), document, at))
    found.paths[(*at, "path")] = str(root)
    found.notes.extend(f"dataset {name}: {note}" for note in notes)


def _name(folder: Folder, root: Path, document: Document, at: Place) -> str:
    """Return the name of a folder, with its share of the training images."""
    place = (*at, "name") if folder.name is not None else (*at, "path")
    name = root.name if folder.name is None else folder.name
    if not re.fullmatch(r"[^@:/\\]{1,100}", name) or not is_printable(name) or name != name.strip():
        rule = "the name of a dataset has up to 100 characters, without @ : / and \\"
        raise document.error(place, f"{rule}, but got {name!r}; set another `name`.")
    if name in datasets:
        raise document.error(place, f"{name!r} is the name of another dataset; set another `name`.")
    if folder.share is None:
        return name
    whole = f"{name}@{folder.share}"
    if _checked(lambda: share_of(whole)[1], document, (*at, "share")) == 1:
        raise document.error((*at, "share"), f"must be a percentage such as '20%', but got {folder.share!r}.")
    return whole


def _checked(read: Callable[[], Any], document: Document, at: Place) -> Any:
    try:
        return read()
    except SpecError as error:
        raise document.error(at, str(error)) from error
