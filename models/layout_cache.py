"""Layouts of torchvision's and timm's networks in the user's cache directory.

A plan with cached layouts imports neither package. The cache only saves time: it is ignored if it cannot be read or
written. Networks of plugins are not cached, because a plugin can import files whose changes its hash does not show.
"""

import functools
import importlib.metadata
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..specs import short_hash
from .layout import BackboneCost, BlockLayout, Layout


def cached_layout(
    architecture: str, image_shape: tuple[int, int, int], classes: int, measure: Callable[[], Layout]
) -> Layout:
    """Return the layout of a network from the cache, or measure it and add it to the cache."""
    folder = _folder(architecture)
    if folder is None:
        return measure()
    path = folder / f"{_beginning(architecture)}{'x'.join(map(str, image_shape))} {classes} classes.json"
    with suppress(Exception):
        return _layout(json.loads(path.read_text(encoding="utf-8")))
    layout = measure()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{os.getpid()} {path.name}")
        temporary.write_text(json.dumps(asdict(layout)), encoding="utf-8")
        temporary.replace(path)
    return layout


def is_cached(architecture: str) -> bool:
    """Return True if any layout of a network is in the cache, so that its name is known to be valid."""
    folder = _folder(architecture)
    with suppress(OSError):
        return folder is not None and any(file.name.startswith(_beginning(architecture)) for file in folder.iterdir())
    return False


def _beginning(architecture: str) -> str:
    """Return the beginning of the names of a network's files."""
    return quote(architecture.partition("/")[2], safe=":") + " "


def _folder(architecture: str) -> Path | None:
    """Return the cache directory for the installed version of a network's package; None if there is none."""
    package, separator, _ = architecture.partition("/")
    if not separator or package not in ("torchvision", "timm") or (versions := _versions(package)) is None:
        return None
    with suppress(RuntimeError):  # no home directory
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(base) / "exeunt" / "layouts" / versions
    return None


@functools.cache
def _versions(package: str) -> str | None:
    """Return the versions of a package and of the modules of this one; None if the package is not installed."""
    try:
        version = importlib.metadata.version(package)
        sources = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))]
    except (importlib.metadata.PackageNotFoundError, OSError):
        return None
    return f"{package}-{version} measured by {short_hash(''.join(sources))}"


def _layout(content: dict[str, Any]) -> Layout:
    return Layout(
        stages=tuple(map(tuple, content["stages"])),
        blocks=tuple(BlockLayout(*block) for block in content["blocks"]),
        width=content["width"],
        smallest_image=content["smallest_image"],
        cost=BackboneCost(
            after_blocks=tuple(content["cost"]["after_blocks"]),
            whole=content["cost"]["whole"],
            taps=tuple(map(tuple, content["cost"]["taps"])),
        ),
        names=tuple(map(tuple, content["names"])),
    )
