"""Sizes of all images of a folder, from their headers. They are kept in the user's cache directory."""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from ...specs import SpecError, short_hash
from ...store import LocalDirectory, StorageError
from .image_file import ImageFileError, image_size, shown

THREADS = 16
CACHED_FROM = 500
"""Number of images from which sizes are cached; fewer headers are read in a fraction of a second."""
LISTED = 5
"""Largest number of damaged files in a message; `exeunt doctor` lists all."""

Known = dict[str, tuple[int, int, int, int]]
"""Bytes, modification time in ns, height and width of an image by its path."""


def image_sizes(root: Path, paths: Sequence[str], text: str) -> dict[str, tuple[int, int]]:
    """Return height and width in pixels of each image; only new and changed files are read.

    Args:
        root: image folder; its sizes are cached together.
        paths: all images of the folder that are used.
        text: the folder as `exeunt doctor --dataset` takes it, for messages.

    Raises:
        SpecError: with the first damaged files and their number.
    """
    cache = LocalDirectory(_cache_directory())
    name = f"{short_hash(os.path.realpath(root))}.json"
    known = _cached(cache, name) if len(paths) >= CACHED_FROM else {}
    with ThreadPoolExecutor(THREADS) as pool:
        found = dict(zip(paths, pool.map(lambda path: _fact(path, known.get(path)), paths, chunksize=64), strict=True))
    bad = {path: fact for path, fact in found.items() if isinstance(fact, str)}
    if bad:
        raise SpecError(damaged(bad, len(paths), root, text), field="dataset")
    facts = {path: fact for path, fact in found.items() if not isinstance(fact, str)}
    if len(paths) >= CACHED_FROM and facts != known:
        with suppress(StorageError):  # a cache is not needed
            cache.write(name, json.dumps({"version": 1, "images": facts}).encode())
    return {path: fact[2:] for path, fact in facts.items()}


def damaged(bad: Mapping[str, str], number: int, root: Path, text: str) -> str:
    """Return the message about damaged files: the first ones, their number, and the command that lists all."""
    lines = [f"  {shown(os.path.relpath(path, root))} {problem}" for path, problem in list(bad.items())[:LISTED]]
    more = [f"  and {len(bad) - LISTED} more"] if len(bad) > LISTED else []
    first = f"{len(bad)} of {number} images in {shown(root)} cannot be read:"
    last = f"Replace or remove them. To read every image and list all damaged ones: exeunt doctor --dataset '{text}'"
    return "\n".join([first, *lines, *more, last])


def sizes_in_words(sizes: Mapping[str, tuple[int, int]], root: Path) -> str:
    """Return the most frequent sizes, height x width, and an image of the rarest: `140 of 32x32, 1 of 33x33 (...)`."""
    counts = Counter(sizes.values()).most_common()
    rarest = next(path for path, size in sizes.items() if size == counts[-1][0])
    listed = ", ".join(f"{count} of {height}x{width}" for (height, width), count in counts[:3])
    more = f" and {len(counts) - 3} other sizes" if len(counts) > 3 else ""
    return f"{listed}{more} ({shown(os.path.relpath(rarest, root))})"


def _fact(path: str, known: tuple[int, int, int, int] | None) -> tuple[int, int, int, int] | str:
    """Return the entry of an image in the cache, or what is wrong with the file."""
    with suppress(OSError):
        found = Path(path).stat()
        if known is not None and tuple(known[:2]) == (found.st_size, found.st_mtime_ns):
            return known
        try:
            return (found.st_size, found.st_mtime_ns, *image_size(path))
        except ImageFileError as error:
            return error.problem
    return "is a link to a missing file" if Path(path).is_symlink() else "does not exist"


def _cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "exeunt" / "images"


def _cached(cache: LocalDirectory, name: str) -> Known:
    """Return the cached entries; none if the file is missing, damaged, or of another version."""
    with suppress(StorageError, ValueError, TypeError, LookupError, AttributeError):
        content = json.loads(cache.read(name) or b"{}")
        if content["version"] == 1:
            return {
                path: (size, time, height, width) for path, (size, time, height, width) in content["images"].items()
            }
    return {}
