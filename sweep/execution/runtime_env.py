"""Copy of the `exeunt` package that Ray sends to other nodes."""

import importlib.util
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTS = ("specs", "losses", "models", "store", "training", "results", "sweep")


@contextmanager
def packed() -> Iterator[Path]:
    """Copy `exeunt/`, from a wheel or a checkout, to a temporary directory that exists inside the context."""
    with tempfile.TemporaryDirectory(prefix="exeunt-") as folder:
        for part in PARTS:
            spec = importlib.util.find_spec(f"exeunt.{part}")
            assert spec is not None
            assert spec.submodule_search_locations
            source = spec.submodule_search_locations[0]
            shutil.copytree(source, Path(folder) / "exeunt" / part, ignore=shutil.ignore_patterns("__pycache__"))
        yield Path(folder)
