"""Files of an image folder: images in the order of torchvision's `ImageFolder`, and files that are not read."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...specs import SpecError
from .image_file import is_image_name, shown

JUNK = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin", "lost+found"}
)
"""Files and directories that systems leave in any directory, in lower case."""
TEXTS = (".csv", ".html", ".json", ".jsonl", ".log", ".md", ".md5", ".rst", ".sha256", ".tsv", ".txt", ".xml", ".yaml")
"""Ends of the names of notes and annotations, which may lie beside images."""

ImageEntry = tuple[str, int]
"""Path of an image file and the index of its class."""


def visible(directory: str | Path) -> list[os.DirEntry[str]]:
    """Return the entries of a directory, sorted by name, without hidden ones and junk.

    Raises:
        SpecError: if the directory is missing or not readable.
    """
    try:
        entries = [entry for entry in os.scandir(directory) if not _is_junk(entry.name)]
    except FileNotFoundError:
        rule = "restore it, or correct the path"
        raise SpecError(f"directory not found: {shown(directory)}; {rule}.", field="dataset") from None
    except OSError as error:
        rule = "correct its permissions or the path"
        message = f"directory {shown(directory)} cannot be read: {error.strerror}; {rule}."
        raise SpecError(message, field="dataset") from None
    return sorted(entries, key=lambda entry: entry.name)


def is_class(entry: os.DirEntry[str]) -> bool:
    """Return True for a directory of images; a directory that is called `x.png` is a damaged image."""
    return entry.is_dir() and not is_image_name(entry.name)


def files_below(directory: str | Path) -> list[str]:
    """Return the paths of all files in a directory and its subdirectories, in the order of torchvision.

    Links to directories are followed. A directory that is called like an image is returned like a file.

    Raises:
        SpecError: if a directory is not readable, or a link leads to a directory above it.
    """
    found: dict[str, list[str]] = {}
    beginning = Path(os.path.realpath(directory))
    pending = [(os.fspath(directory), {str(path) for path in (beginning, *beginning.parents)})]
    while pending:
        folder, above = pending.pop()
        found[folder] = []
        for entry in visible(folder):
            if not is_class(entry):
                found[folder].append(entry.path)
            elif (real := os.path.realpath(entry.path)) in above:
                message = f"{shown(entry.path)} is a link to a directory that contains it; remove the link."
                raise SpecError(message, field="dataset")
            else:
                pending.append((entry.path, above | {real}))
    return [path for folder in sorted(found) for path in found[folder]]


def class_names(split: Path) -> list[str]:
    """Return the names of the class directories of a split, sorted; the index of a class is its position."""
    return [entry.name for entry in visible(split) if is_class(entry)]


def list_split(split: Path, classes: Sequence[str], *, below: str = ".") -> list[ImageEntry]:
    """Return the images of each class directory of a split, or of the directory `below` in it, with subdirectories.

    Raises:
        SpecError: if a class has no image, or a file is neither an image nor a text.
    """
    listed: list[ImageEntry] = []
    others: list[str] = []
    for number, folder in enumerate(split / name / below for name in classes):
        files = files_below(folder)
        images = [path for path in files if is_image_name(path)]
        others += [path for path in files if not is_image_name(path) and not is_text(path)]
        if not images and not others:
            message = f"class directory {shown(folder)} has no image file; add images or remove it."
            raise SpecError(message, field="dataset")
        listed += [(path, number) for path in images]
    refuse_others(split, others)
    return listed


def refuse_loose_files(split: Path) -> None:
    """Raise `SpecError` if a split has images or unknown files beside its class directories."""
    refuse_others(split, [entry.path for entry in visible(split) if not is_class(entry) and not is_text(entry.name)])


def refuse_others(folder: Path, paths: Sequence[str]) -> None:
    """Raise `SpecError` with the number and kinds of files that would not be read, if there are any."""
    if not paths:
        return
    named = sorted(shown(os.path.relpath(path, folder)) for path in paths)
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    number = "1 file is" if len(paths) == 1 else f"{len(paths)} files are"
    rule = "Move images into a class directory, as PNG, JPEG or another format that is read; remove other files"
    message = f"{number} not read in {shown(folder)} ({kinds(paths)}): {', '.join(named[:3])}{more}. {rule}"
    raise SpecError(f"{message}.", field="dataset")


def kinds(paths: Sequence[str]) -> str:
    """Return the number of files of each kind: `2 .heif, 1 .npy`."""
    counts = Counter(Path(path).suffix.lower() or "without suffix" for path in paths)
    return ", ".join(f"{count} {shown(kind)}" for kind, count in counts.most_common(5))


def texts_below(folder: Path) -> Iterator[str]:
    """Iterate over the notes and annotations in a directory and its subdirectories."""
    return (path for path in files_below(folder) if is_text(path))


def is_text(name: str) -> bool:
    """Return True for a note or an annotation, which is not read."""
    return name.lower().endswith(TEXTS)


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name.lower() in JUNK
