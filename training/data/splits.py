"""Splits of an image folder: the directories with training and test images."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...specs import SpecError
from .folder_files import class_names, is_class, visible
from .image_file import shown

TRAIN = "train"
TEST = ("test", "val", "valid", "validation")
"""Directories that can hold the test images, in the order in which they are tried."""


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Directories with the training and test images, and their classes."""

    train: Path
    test: Path
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    """Sentences about directories that are not used."""


def find_splits(root: Path, train: str | None = None, test: str | None = None) -> Splits:
    """Return the splits of an image folder.

    Args:
        root: the image folder.
        train: directory with the training images, relative to `root`. Default: `train`.
        test: directory with the test images. Default: the first of `TEST` that has class directories.

    Raises:
        SpecError: if a split is missing, has fewer than 2 classes, or the splits have different classes.
    """
    present = [entry.name for entry in visible(root) if is_class(entry)]
    candidates = [name for name in TEST if name in present and name != train]
    labelled = [name for name in candidates if class_names(root / name)]
    training = root / (train or TRAIN)
    if not training.is_dir():
        raise _missing(root, training, present, candidates)
    if test is None and not labelled:
        raise _missing(root, root / (candidates[0] if candidates else TEST[0]), present, candidates)
    testing = root / (test or labelled[0])
    if not testing.is_dir():
        raise _missing(root, testing, present, candidates)
    if os.path.realpath(training) == os.path.realpath(testing):
        message = f"{shown(training)} is both training and test set; choose two directories."
        raise SpecError(message, field="dataset")
    classes = agreed_classes(training, testing, [root / name for name in labelled])
    used = {training.name, testing.name}
    notes = []
    for name in candidates:
        if name not in used and name not in labelled:
            notes.append(f"{name}/ has no class directories, so it is not used; test set: {testing.name}/.")
        elif name not in used:
            choose = f"{{path: {shown(root)}, test: {name}}}"
            notes.append(f"{name}/ is not used; test set: {testing.name}/. To choose another, write dataset: {choose}.")
    return Splits(train=training, test=testing, classes=tuple(classes), notes=tuple(notes))


def agreed_classes(train: Path, test: Path, others: Sequence[Path] = ()) -> list[str]:
    """Return the class names, which must be equal in both splits; a message names another split that fits."""
    classes, of_test = class_names(train), class_names(test)
    if len(classes) < 2:
        message = f"{shown(train)} has too few class directories: {len(classes)}; a dataset needs at least 2"
        raise SpecError(f"{message}.", field="dataset")
    if classes != of_test:
        odd = min(set(classes) ^ set(of_test))
        has, lacks = (train, test) if odd in classes else (test, train)
        fitting = [other.name for other in others if other != test and class_names(other) == classes]
        choose = f", or choose another split: {{path: {shown(train.parent)}, test: {fitting[0]}}}" if fitting else ""
        message = (
            f"the splits have different classes: {shown(has)} has a directory '{shown(odd)}', {shown(lacks)} does "
            f"not; add or remove it{choose}."
        )
        raise SpecError(message, field="dataset")
    return classes


def _missing(root: Path, split: Path, present: Sequence[str], candidates: Sequence[str]) -> SpecError:
    """Return the error for a split without a directory or without classes, with the directories that were found."""
    problem = "has no class directories" if split.is_dir() else "not found"
    listed = ", ".join(f"{shown(name)}/" for name in present[:6]) or "no directories"
    more = f" and {len(present) - 6} more" if len(present) > 6 else ""
    rule = "a dataset needs one directory per class in train/, and in test/, val/, valid/ or validation/"
    choose = ""
    if others := [name for name in present if name not in candidates and name != TRAIN]:
        key = "train" if split.name == TRAIN else "test"
        choose = f" To name other directories, write {{path: {shown(root)}, {key}: {shown(others[0])}}}."
    message = f"directory {problem}: {shown(split)}; found in {shown(root)}: {listed}{more}; {rule}.{choose}"
    return SpecError(message, field="dataset")
