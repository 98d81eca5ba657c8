"""Copy of the `exeunt` package that Ray sends to other nodes."""

import importlib.util
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTS = ("specs", "losses", "models", "store", "training", "results", "sweep", "api")


@contextmanager
def packed() -> Iterator[Path]:
    """Copy `exeunt/`, from a wheel or a checkout, to a temporary directory that exists inside the context."""
    with tempfile.TemporaryDirectory(prefix="exeunt-") as folder:
        copy = Path(folder) / "exeunt"
        copy.mkdir()
        shutil.copy(_directory("exeunt") / "__init__.py", copy)
        for part in PARTS:
            shutil.copytree(_directory(f"exeunt.{part}"), copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        yield Path(folder)


def _directory(package: str) -> Path:
    """Return the directory of a package."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])
