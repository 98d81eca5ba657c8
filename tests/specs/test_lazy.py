import importlib
import sys

import pytest
from exeunt.specs.lazy import LazyModule


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Name of a package that exports `train` of its module `train`, and `SPEED` of its module `parts.speed`."""
    name = "exeunt_lazy_example"
    (tmp_path / name / "parts").mkdir(parents=True)
    (tmp_path / name / "__init__.py").write_text(
        "from exeunt.specs.lazy import lazy_exports\n"
        "HERE = 1\n"
        '__getattr__, __dir__ = lazy_exports(__name__, {"train": ".train", "SPEED": ".parts.speed"})\n'
    )
    (tmp_path / name / "train.py").write_text("def train(): return 'trained'\n")
    (tmp_path / name / "parts" / "__init__.py").write_text("")
    (tmp_path / name / "parts" / "speed.py").write_text("SPEED = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    for module in [module for module in sys.modules if module.split(".")[0] == name]:
        del sys.modules[module]


def imported(package):
    return {name.removeprefix(package) for name in sys.modules if name.startswith(package)}


def test_a_lazy_module_is_imported_when_an_attribute_is_read(package):
    speed = LazyModule(f"{package}.parts.speed")
    assert imported(package) == set()
    assert speed.SPEED == 3
    assert imported(package) == {"", ".parts", ".parts.speed"}
    assert "SPEED" in dir(speed)
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = speed.absent


def test_a_lazy_module_follows_changes_of_the_module(package, monkeypatch):
    speed = LazyModule(f"{package}.parts.speed")
    assert speed.SPEED == 3
    monkeypatch.setattr(f"{package}.parts.speed.SPEED", 4)
    assert speed.SPEED == 4


def test_a_lazy_module_that_is_not_installed_is_an_import_error():
    absent = LazyModule("exeunt_absent")
    with pytest.raises(ModuleNotFoundError, match="exeunt_absent"):
        _ = absent.anything


def test_an_export_imports_its_own_module_alone(package):
    assert importlib.import_module(package).SPEED == 3
    assert imported(package) == {"", ".parts", ".parts.speed"}


def test_the_exports_and_the_other_names_of_a_package_are_listed(package):
    module = importlib.import_module(package)
    assert {"HERE", "SPEED", "train"} <= {*dir(module)}
    assert imported(package) == {""}
    with pytest.raises(AttributeError, match="module 'exeunt_lazy_example' has no attribute 'absent'"):
        _ = module.absent
    with pytest.raises(ImportError, match="absent"):
        exec(f"from {package} import absent")


@pytest.mark.parametrize("module_first", [True, False])
def test_an_export_is_not_replaced_by_the_module_of_its_name(package, module_first):
    module = importlib.import_module(package)
    if module_first:
        importlib.import_module(f"{package}.train")
    assert module.train() == "trained"
    importlib.import_module(f"{package}.train")
    assert module.train() == "trained"


def test_a_module_that_is_no_export_is_an_attribute_as_usual(package):
    parts = importlib.import_module(f"{package}.parts")
    assert sys.modules[package].parts is parts
