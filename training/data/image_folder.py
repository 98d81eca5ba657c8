"""Datasets in image folders: `folder:PATH`, and a folder with a name, whose identity is its content."""

import functools
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...specs import SpecError
from .dataset import (
    FOLDER_PREFIX,
    IMAGENET_MEAN,
    IMAGENET_STD,
    LARGE,
    Dataset,
    DatasetSpec,
    DataSource,
    FolderContent,
)
from .folder_files import ImageEntry, kinds, list_split, refuse_loose_files, texts_below
from .headers import image_sizes, sizes_in_words
from .image_file import shown
from .splits import Splits, agreed_classes, find_splits
from .subsets import share_of, subset_of

if TYPE_CHECKING:
    from .in_memory import ImageSet

SMALL = 96
"""Largest height and width in pixels of images that are held in memory."""

Listing = tuple[list[ImageEntry], list[ImageEntry]]
"""Training and test images."""


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """Splits and sizes of an image folder, after the header of every image was read."""

    splits: Splits
    image_shape: tuple[int, int, int]
    """(3, H, W): the size of all images if it is one of at most `SMALL` pixels, otherwise (3, `LARGE`, `LARGE`)."""
    training_images: int
    notes: tuple[str, ...]
    """Sentences about files that are not used, and about sizes that differ."""


@functools.cache  # called for every trial
def read_folder(root: Path, train: str | None = None, test: str | None = None) -> ImageFolder:
    """Read the header of every image in a folder.

    Args:
        root: absolute path of the folder.
        train: directory with the training images, see `find_splits`.
        test: directory with the test images.

    Raises:
        SpecError: if a split is missing, a file is neither an image nor a text, or an image has no valid header.
    """
    splits = find_splits(root, train, test)
    for split in (splits.train, splits.test):
        refuse_loose_files(split)
    training, testing = _listed(splits.train, splits.test, splits.classes)
    sizes = image_sizes(root, [path for path, _ in (*training, *testing)], f"{FOLDER_PREFIX}{shown(root)}")
    of_sides = {max(size) for size in sizes.values()}
    is_small = len(set(sizes.values())) == 1 and max(of_sides) <= SMALL
    return ImageFolder(
        splits=splits,
        image_shape=(3, *next(iter(sizes.values()))) if is_small else (3, LARGE, LARGE),
        training_images=len(training),
        notes=(*splits.notes, *_text_notes(splits), *(_size_notes(root, sizes) if min(of_sides) <= SMALL else ())),
    )


def _text_notes(splits: Splits) -> Sequence[str]:
    texts = [path for split in (splits.train, splits.test) for path in texts_below(split)]
    return [f"texts beside the images are not read: {kinds(texts)}."] if texts else []


def _size_notes(root: Path, sizes: Mapping[str, tuple[int, int]]) -> Sequence[str]:
    """Return the note that small images are enlarged because their sizes differ."""
    if len(set(sizes.values())) == 1:
        return []
    rule = f"All are resized to {LARGE}x{LARGE} and read in every epoch. To keep small images as they are"
    return [f"the images have different sizes: {sizes_in_words(sizes, root)}. {rule}, give all of them one size."]


def own_folder(name: str) -> Dataset:
    """Return the dataset `folder:PATH`: PATH/train/CLASS/, and the same in test/, val/, valid/ or validation/.

    Raises:
        SpecError: if the path is relative, and as in `read_folder`.
    """
    path = name.removeprefix(FOLDER_PREFIX)
    root = Path(path).expanduser()
    if not root.is_absolute():  # a worker runs in another directory
        rule = f"To give it relative to the sweep file, write dataset: {{path: {path}}}"
        message = f"the path of an image folder must begin with / or ~, but got {name!r}. {rule}."
        raise SpecError(message, field="dataset")
    folder = read_folder(root)
    splits = folder.splits

    def load(source: DataSource) -> "tuple[ImageSet, ImageSet]":
        return _load(_listed(splits.train, splits.test, splits.classes), folder.image_shape, source)

    return Dataset(
        description=f"images in {shown(root)}; test set: {splits.test.name}/",
        image_shape=folder.image_shape,
        classes=len(splits.classes),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        load=load,
        training_images=folder.training_images,
        notes=folder.notes,
    )


def named_folder(name: str, root: Path, train: str | None = None, test: str | None = None) -> DatasetSpec:
    """Return the spec of the images in a folder under a name such as `Flowers` or `Flowers@20%`, see `read_folder`."""
    folder = read_folder(root, train, test)
    splits = folder.splits
    content = FolderContent(
        sha256=_digest(splits.train, splits.test, _listed(splits.train, splits.test, splits.classes)),
        image_shape=folder.image_shape,
        classes=len(splits.classes),
        training_images=folder.training_images,
        train=str(splits.train),
        test=str(splits.test),
    )
    return DatasetSpec(name=name, folder=content)


def facts_of(spec: DatasetSpec) -> Dataset:
    """Return the dataset of a spec with a folder; no file is read before it is loaded."""
    assert spec.folder is not None
    return _facts(spec.name, spec.folder, spec.folder.train, spec.folder.test)


@functools.cache  # called for every trial; specs of equal content at two locations are equal
def _facts(name: str, content: FolderContent, train: str, test: str) -> Dataset:
    whole, share = share_of(name)

    def load(source: DataSource) -> "tuple[ImageSet, ImageSet]":
        if not train:
            message = f"the location of the images of {whole} is unknown here; run the sweep file of the trial"
            raise SpecError(f"{message}, or name the sweep instead of a key.", field="dataset")
        listing = _listed(Path(train), Path(test), agreed_classes(Path(train), Path(test)))
        if _digest(Path(train), Path(test), listing) != content.sha256:
            rule = "files were added, removed or changed. Run the sweep file again; it trains on the present images"
            message = f"{shown(train)} and {shown(test)} do not have the images of the plan: {rule}"
            raise SpecError(f"{message}.", field="dataset")
        return _load(listing, content.image_shape, source)

    facts = Dataset(
        description=f"images of {whole}",
        image_shape=content.image_shape,
        classes=content.classes,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        load=load,
        training_images=content.training_images,
    )
    return facts if share == 1 else subset_of(facts, name)


def _listed(train: Path, test: Path, classes: Sequence[str]) -> Listing:
    return list_split(train, classes), list_split(test, classes)


def _digest(train: Path, test: Path, listing: Listing) -> str:
    """Return the SHA-256 of the names and sizes of all image files, which is equal for copies of a folder."""
    digest = hashlib.sha256()
    for role, split, entries in zip(("train", "test"), (train, test), listing, strict=True):
        for path, _ in entries:
            digest.update(os.fsencode(f"{role}/{os.path.relpath(path, split)}\0{Path(path).stat().st_size}\n"))
    return digest.hexdigest()


def _load(listing: Listing, image_shape: tuple[int, int, int], source: DataSource) -> "tuple[ImageSet, ImageSet]":
    """Return the training and test images: streamed from their files if they are `LARGE`, otherwise in memory."""
    from .streamed import ImageFiles, entries_of, read_images  # noqa: PLC0415 (imports torch)

    training, testing = map(entries_of, listing)
    if image_shape[1:] == (LARGE, LARGE):
        how = {"image_shape": image_shape, "workers": source.workers}
        return ImageFiles(*training, **how), ImageFiles(*testing, **how)
    return read_images(*training, image_shape=image_shape), read_images(*testing, image_shape=image_shape)
