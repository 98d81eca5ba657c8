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
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).parents[1]
OF_CONFIGS = ("configs/__init__.py", "configs/quickstart.yaml")
"""Files of `configs/` that are installed."""
PACKAGES = ("specs", "losses", "models", "store", "training", "sweep", "results", "api")
ELSEWHERE = ("benchmarks", "configs", "deploy", "docs", "examples", "tests")
AT_THE_TOP = {
    *("CHANGELOG.md", "CITATION.cff", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "Makefile"),
    *("README.md", "SECURITY.md", "constraints.txt", "pyproject.toml"),
}
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


class Environment:
    """Virtual environment with the wheel and the packages installed here, without this checkout."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        """Install the wheel into a new environment, without downloads."""
        venv.create(folder, symlinks=True)
        (self.packages,) = folder.glob("lib/python*/site-packages")
        # Python reads no .pth files in a directory that a .pth file names, so editable installs there are not found.
        here = [entry for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))]
        (self.packages / "others.pth").write_text("\n".join(here))
        self.programs = folder / "bin"
        words = ["pip", "install", "--quiet", "--no-deps", "--no-index", "--ignore-installed", "--no-cache-dir", wheel]
        self.run("python", "-m", *words, cwd=folder)

    def run(self, program: str, *arguments: object, cwd: Path) -> str:
        """Run a program of the environment and return what it prints."""
        command = [self.programs / program, *map(str, arguments)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        clean["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
        ran = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False, timeout=600)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory, wheel) -> Environment:
    """Environment with the wheel, in which `exeunt` is the wheel's."""
    environment = Environment(tmp_path_factory.mktemp("environment"), wheel)
    where = "import exeunt; exeunt.sweep, exeunt.results, exeunt.run; print(*exeunt.__path__)"
    seen = environment.run("python", "-c", where, cwd=environment.programs)
    assert seen.split() == [str(environment.packages / "exeunt")], "another Exeunt is imported"
    return environment


@pytest.mark.slow
def test_the_sdist_is_complete_and_has_nothing_else(unpacked):
    held = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    written = {name for name in held if name in {"PKG-INFO", "setup.cfg"} or name.startswith("exeunt.egg-info/")}
    assert held - written == files_of(*PACKAGES, *ELSEWHERE) | AT_THE_TOP


@pytest.mark.slow
def test_the_wheel_is_complete_and_has_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name.removeprefix("exeunt/") for name in archive.namelist() if name.startswith("exeunt/")}
        others = {name for name in archive.namelist() if not name.startswith("exeunt")}
    assert held == {name.removeprefix("api/exeunt/") for name in files_of(*PACKAGES)} | set(OF_CONFIGS)
    assert others == set()


@pytest.mark.slow
def test_the_demo_of_the_wheel_needs_no_checkout(installed, tmp_path):
    """The demo of the wheel prints its table. The installed sweep file is shortened to one seed and one epoch."""
    assert "Start with: exeunt demo" in installed.run("exeunt", "--help", cwd=tmp_path)
    file = installed.packages / "exeunt" / "configs" / "quickstart.yaml"
    assert file.read_text() == (CHECKOUT / "configs" / "quickstart.yaml").read_text()
    content: dict[str, Any] = yaml.safe_load(file.read_text())
    content |= {"seeds": [0], "recipe": content["recipe"] | {"epochs": 1}}
    file.write_text(yaml.safe_dump(content))
    printed = installed.run("exeunt", "demo", cwd=tmp_path)
    assert "9 trials, 9 to train" in printed
    assert "output_loss=kl" in printed
    assert (tmp_path / "runs" / "sweeps" / "quickstart" / "table.csv").exists()
    installed.run("exeunt", "report", "quickstart", cwd=tmp_path)
    (page,) = tmp_path.rglob("report.html")
    assert "quickstart" in page.read_text()


@pytest.mark.slow
def test_the_requirements_of_the_wheel_are_those_of_the_checkout(installed, tmp_path):
    """`pip check` reads the metadata of the wheel and of the packages installed here."""
    assert installed.run("python", "-m", "pip", "check", cwd=tmp_path) == "No broken requirements found.\n"
