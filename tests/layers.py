"""Check the import contract of `pyproject.toml`: `python tests/layers.py`, part of `make lint`.

import-linter reads a sub-package only if its parent is a namespace. In a checkout, `exeunt` is the package in
`api/exeunt`, which does not contain its sub-packages. So this script links them into a directory without `__init__.py`.
"""

import sys
import tempfile
import tomllib
from pathlib import Path

from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Return the exit status of import-linter."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    folders = settings["setuptools"]["package-dir"]
    with tempfile.TemporaryDirectory(prefix="exeunt-") as folder:
        (Path(folder) / "exeunt").mkdir()
        for package in settings["importlinter"]["root_packages"]:
            (Path(folder) / package.replace(".", "/")).symlink_to(ROOT / folders[package])
        sys.path.insert(0, folder)
        return lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True)


if __name__ == "__main__":
    sys.exit(main())
