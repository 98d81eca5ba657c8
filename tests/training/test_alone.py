"""Training in an environment with only torch, torchvision and numpy, built from the packages installed here."""

import importlib.metadata
import importlib.util
import json
import subprocess
import venv
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from torchvision.io import write_png

CHECKOUT = Path(__file__).parents[2]
ALONE = ("specs", "losses", "models", "store", "training")
OBJECT_STORE = "exeunt.store.object_store"
"""Module that needs pyarrow; the store imports it if a URI names the storage."""
NEEDED = ("torch", "torchvision", "numpy")
ABSENT = (
    "ray",
    "mlflow",
    "optuna",
    "pydantic",
    "pandas",
    "scipy",
    "sklearn",
    "yaml",
    "typer",
    "rich",
    "timm",
    "pyarrow",
)

IMPORTS = """
import importlib, importlib.metadata, json, pkgutil, sys

def is_there(name):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        return error.name != name
    return True

modules = []
for package in sys.argv[1].split():
    path = importlib.import_module(f"exeunt.{package}").__path__
    modules += [module.name for module in pkgutil.walk_packages(path, f"exeunt.{package}.")]
for module in modules:
    if module != sys.argv[3]:
        importlib.import_module(module)
distributions = sorted(distribution.name for distribution in importlib.metadata.distributions())
there = [name for name in sys.argv[2].split() if is_there(name)]
print(json.dumps({"modules": modules, "distributions": distributions, "there": there}))
"""

TRAINING = """
import json, sys
from pathlib import Path
from exeunt.losses import EED
from exeunt.models import ArchitectureSpec, ExitSpec
from exeunt.training import DatasetSpec, Recipe, TrainingInterrupted, TrialSpec, train
from exeunt.store import TrialFiles

trial = TrialSpec(
    dataset=DatasetSpec(name=f"folder:{sys.argv[1]}"),
    architecture=ArchitectureSpec(name="resnet8"),
    method=EED(),
    exits=ExitSpec(placement="all"),
    recipe=Recipe(epochs=1, batch_size=8),
    validation=0.25,
)
directory = TrialFiles(Path(sys.argv[2]))
try:
    train(trial, directory, device="cpu", stop=lambda: True)
except TrainingInterrupted as stopped:
    print(stopped)
print(json.dumps(train(trial, directory, device="cpu")))
"""


def closure(names: Iterable[str]) -> dict[str, importlib.metadata.Distribution]:
    """Return these distributions and all of their dependencies, without extras, by name."""
    found, pending = {}, list(names)
    while pending:
        distribution = importlib.metadata.distribution(pending.pop())
        found[canonicalize_name(distribution.name)] = distribution
        for requirement in map(Requirement, distribution.requires or []):
            applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if applies and canonicalize_name(requirement.name) not in found:
                pending.append(requirement.name)
    return found


def link_files(distribution: importlib.metadata.Distribution, target: Path) -> None:
    """Link the top-level files of a distribution into another site-packages directory."""
    names = {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}
    for name in names:
        if not (target / name).exists():  # several distributions may share a namespace
            (target / name).symlink_to(distribution.locate_file(name))


def environment_of(folder: Path, names: Iterable[str]) -> Path:
    """Make a virtual environment with these distributions and their dependencies alone; return its Python."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for distribution in closure(names).values():
        link_files(distribution, packages)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Function that runs a program in the separate environment and returns the lines that it prints."""
    folder = tmp_path_factory.mktemp("environment")
    python = environment_of(folder, NEEDED)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "exeunt").mkdir()
    for name in ALONE:
        (packages / "exeunt" / name).symlink_to(CHECKOUT / name)
    metadata = packages / "exeunt-0.dist-info" / "METADATA"  # as after `pip install --no-deps`
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: exeunt\nVersion: 0\n")

    def run(program, *arguments):
        command = [python, "-I", "-c", program, *map(str, arguments)]
        ran = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.splitlines()

    return run


@pytest.fixture
def images(tmp_path):
    """Image folder with 24 training and 8 test images of 32x32 pixels in two classes, dark and bright."""
    chance = torch.Generator().manual_seed(0)
    for split, count in (("train", 12), ("test", 4)):
        for name, brightness in (("bright", 120), ("dark", 0)):
            (tmp_path / "images" / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = torch.randint(0, 120, (3, 32, 32), generator=chance) + brightness
                write_png(pixels.to(torch.uint8), str(tmp_path / "images" / split / name / f"{number}.png"))
    return tmp_path / "images"


@pytest.mark.slow
def test_every_module_imports_with_torch_torchvision_and_numpy_alone(alone):
    assert all(importlib.util.find_spec(name) for name in ABSENT)  # they are installed here, so a link would be found
    (line,) = alone(IMPORTS, " ".join(ALONE), " ".join((*ABSENT, "numpy")), OBJECT_STORE)
    said = json.loads(line)
    assert said["there"] == ["numpy"]
    assert {canonicalize_name(name) for name in said["distributions"]} == {*closure(NEEDED), "exeunt"}
    files = [file.relative_to(CHECKOUT) for name in ALONE for file in (CHECKOUT / name).rglob("*.py")]
    modules = {".".join(("exeunt", *file.with_suffix("").parts)).removesuffix(".__init__") for file in files}
    assert {*said["modules"], *(f"exeunt.{name}" for name in ALONE)} == modules


@pytest.mark.slow
def test_a_network_trains_with_torch_torchvision_and_numpy_alone(alone, images, tmp_path):
    stopped, result = alone(TRAINING, images, tmp_path / "trial")
    assert stopped == "stopped in epoch 1 after step 1"
    metrics = json.loads(result)["metrics"]
    assert json.loads(result)["state"] == "done"
    for split in ("validation", "test"):
        assert {f"{split}/{exit}/top1" for exit in ("exit1", "exit2", "final", "ensemble")} <= metrics.keys()
    assert torch.load(tmp_path / "trial" / "weights.pt", weights_only=True)
