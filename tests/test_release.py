"""Tests of a release: versions agree, and wheel and source distribution are complete without a checkout."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).parents[1]
PACKAGES = ("specs", "losses", "models", "store", "training", "sweep", "results", "api")
ELSEWHERE = ("benchmarks", "configs", "deploy", "docs", "tests")
NO_SOURCE = shutil.ignore_patterns(".*", "runs", "build", "dist", "*.egg-info", "__pycache__")

BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, f"build_{sys.argv[1]}")(sys.argv[2]))
"""

PERSON, ENTITY = {"family-names", "given-names"}, {"name"}


def test_the_versions_agree():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((CHECKOUT / "CITATION.cff").read_text())
    released = re.findall(r"^## \[(\d.*)\] - (\S+)$", (CHECKOUT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert (citation["version"], citation["date-released"]) == released[0]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]


def test_the_citation_has_what_the_format_asks_for():
    """The required fields and their types are from the schema of Citation File Format 1.2.0."""
    citation = yaml.safe_load((CHECKOUT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert all(isinstance(citation[name], str) for name in ("message", "title", "version", "license"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", citation["date-released"])
    for cited in (citation, *citation["references"]):
        assert cited["authors"]
        assert all(author.keys() in (PERSON, ENTITY) for author in cited["authors"])
    (paper,) = citation["references"]
    assert {"type", "title", "authors"} <= paper.keys()
    assert paper["url"] == "https://arxiv.org/abs/2104.00299"


def files_of(*folders: str, root: Path = CHECKOUT) -> set[str]:
    """Return the files of these directories, without bytecode and hidden files."""
    paths = (path for folder in folders for path in (root / folder).rglob("*") if path.is_file())
    names = (path.relative_to(root) for path in paths)
    return {str(name) for name in names if "__pycache__" not in name.parts and not name.name.startswith(".")}


def build(kind: str, source: Path, target: Path) -> Path:
    """Build a wheel or an sdist with the installed setuptools."""
    words = [sys.executable, "-c", BUILD, kind, str(target)]
    ran = subprocess.run(words, cwd=source, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return target / ran.stdout.split()[-1]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    """Source distribution, built from a clean copy of the checkout."""
    folder = tmp_path_factory.mktemp("sdist")
    shutil.copytree(CHECKOUT, folder / "source", ignore=NO_SOURCE)
    return build("sdist", folder / "source", folder)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory, sdist) -> Path:
    """Directory of the unpacked sdist."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return source


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, unpacked) -> Path:
    """Wheel, built only from the sdist."""
    return build("wheel", unpacked, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory, wheel) -> Callable[..., str]:
    """Function that runs `exeunt` of the wheel in an environment with the installed packages, without this checkout."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # Python does not read .pth files in a directory that a .pth file names, so editable installs there are not found.
    here = [entry for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))]
    (packages / "others.pth").write_text("\n".join(here))
    python = folder / "bin" / "python"
    words = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--ignore-installed", "--no-cache-dir"]
    subprocess.run([python, *words, "--disable-pip-version-check", wheel], check=True, env=quiet())

    def run(*arguments: object, cwd: Path) -> str:
        command = [folder / "bin" / "exeunt", *map(str, arguments)]
        ran = subprocess.run(command, cwd=cwd, env=quiet(), capture_output=True, text=True, check=False, timeout=600)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    where = "import exeunt; exeunt.sweep, exeunt.results, exeunt.run; print(*exeunt.__path__)"
    seen = subprocess.run([python, "-c", where], cwd=folder, env=quiet(), capture_output=True, text=True, check=True)
    assert seen.stdout.split() == [str(packages / "exeunt")], "another Exeunt is imported"
    return run


def quiet() -> dict[str, str]:
    """Return the environment without variables that change the paths of Python."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


@pytest.mark.slow
def test_the_sdist_is_complete(unpacked):
    held = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*")}
    alone = {"CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "constraints.txt"}
    assert held >= files_of(*PACKAGES, *ELSEWHERE) | alone
    assert not [name for name in held if name.endswith(".pyc")]


@pytest.mark.slow
def test_the_wheel_is_complete_and_has_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name.removeprefix("exeunt/") for name in archive.namelist() if name.startswith("exeunt/")}
        others = {name for name in archive.namelist() if not name.startswith("exeunt")}
    assert held == {name.removeprefix("api/exeunt/") for name in files_of(*PACKAGES)}
    assert others == set()


def shortened(file: Path, folder: Path) -> Path:
    """Write a copy of the sweep file with one seed and one epoch."""
    content: dict[str, Any] = yaml.safe_load(file.read_text())
    content["seeds"] = [0]
    content["recipe"]["epochs"] = 1
    (folder / file.name).write_text(yaml.safe_dump(content))
    return folder / file.name


@pytest.mark.slow
def test_what_is_installed_runs_the_quickstart_of_the_sdist(installed, unpacked, tmp_path):
    assert "exeunt sweep configs/quickstart.yaml" in installed("--help", cwd=tmp_path)
    printed = installed("sweep", shortened(unpacked / "configs" / "quickstart.yaml", tmp_path), cwd=tmp_path)
    assert "9 trials, 9 to train" in printed
    assert "output_loss=kl" in printed
    installed("report", "quickstart", cwd=tmp_path)
    (page,) = tmp_path.rglob("report.html")
    assert "quickstart" in page.read_text()
