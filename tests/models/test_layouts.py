import dataclasses
import json
import subprocess
import sys

import pytest
from exeunt.models import (
    ArchitectureSpec,
    architecture_layout,
    architectures,
    head_multiply_adds,
    heads,
    layout_cache,
    multiply_adds,
)
from exeunt.models.architectures import BUILT_IN
from exeunt.models.exit_head import build_head
from exeunt.models.layers import without_weights
from exeunt.models.layout_measurement import file_content, measured_layout
from exeunt.models.layout_tables import FILE, layout_tables
from exeunt.specs import SpecError

from .conftest import MAP_HEADS
from .test_every_architecture import ONE_OF_EACH_FAMILY

SHAPES = [((3, 32, 32), 100), ((1, 28, 28), 10), ((1, 8, 8), 10), ((3, 96, 96), 10), ((2, 33, 47), 7), ((3, 65, 16), 1)]
"""Image shapes and numbers of classes; strides divide some of the heights and widths."""
EVERY = [
    *ONE_OF_EACH_FAMILY,
    *(pytest.param(name, marks=pytest.mark.slow) for name in architectures if name not in ONE_OF_EACH_FAMILY),
]
TORCHVISION = "torchvision/shufflenet_v2_x0_5"


def plain(layout):
    return json.loads(json.dumps(dataclasses.asdict(layout)))


@pytest.mark.parametrize("name", EVERY)
def test_the_table_of_an_architecture_gives_what_is_measured_on_its_network(name):
    large_enough = [pair for pair in SHAPES if min(pair[0][1:]) >= layout_tables()[name].smallest_image]
    assert len(large_enough) >= len(SHAPES) - 1
    for shape, classes in large_enough:
        assert plain(architecture_layout(name, shape, classes)) == plain(
            measured_layout(architectures[name], shape, classes)
        )


@pytest.mark.slow
def test_the_file_of_tables_is_the_one_that_its_command_writes():
    assert FILE.read_text(encoding="utf-8") == file_content(), "run python -m exeunt.models.layout_measurement"


def test_every_built_in_name_has_a_builder_and_a_table():
    names = {name for module_names in BUILT_IN.values() for name in module_names}
    assert names == set(layout_tables()) == set(architectures)
    assert all(callable(architectures[name]) for name in names)


@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY)
@pytest.mark.parametrize("head", MAP_HEADS)
def test_a_head_costs_what_is_measured_on_its_module(name, head):
    layout = architecture_layout(name, (3, 34, 50), 7)
    for number in range(1, len(layout.blocks)):
        with without_weights():
            built = build_head(head, layout, number, 7)
        measured = multiply_adds(built, (1, *layout.cost.taps[number - 1]))
        assert head_multiply_adds(head, layout, number, 7) == measured


def test_the_head_of_a_plugin_is_measured():
    layout = architecture_layout("resnet8", (3, 32, 32), 10)

    def own(channels, steps):
        return heads["mlp"](channels, steps)

    heads.register("own")(own)
    try:
        assert head_multiply_adds("own", layout, 1, 10) == head_multiply_adds("mlp", layout, 1, 10)
    finally:
        heads.unregister("own")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Empty cache directory of the user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    architecture_layout.cache_clear()
    yield tmp_path / "exeunt" / "layouts"
    architecture_layout.cache_clear()


def test_the_layout_of_a_network_of_torchvision_is_measured_once_and_then_read(cache, monkeypatch):
    measured = plain(architecture_layout(TORCHVISION, (3, 64, 64), 10))
    (file,) = cache.rglob("*.json")
    assert file.name == "shufflenet_v2_x0_5 3x64x64 10 classes.json"
    architecture_layout.cache_clear()
    monkeypatch.setattr("exeunt.models.layout_measurement.measured_layout", None)
    assert plain(architecture_layout(TORCHVISION, (3, 64, 64), 10)) == measured


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"stages": 1}', None])
def test_a_cache_that_cannot_be_read_or_written_costs_only_time(cache, content):
    measured = plain(architecture_layout(TORCHVISION, (3, 64, 64), 10))
    architecture_layout.cache_clear()
    (file,) = cache.rglob("*.json")
    if content is None:
        file.unlink()
        file.parent.rmdir()
        file.parent.write_text("a file in the place of the directory")
    else:
        file.write_text(content)
    assert plain(architecture_layout(TORCHVISION, (3, 64, 64), 10)) == measured
    assert content is None or json.loads(file.read_text()) == measured


@pytest.mark.usefixtures("cache")
def test_another_version_of_the_package_is_measured_again(monkeypatch):
    architecture_layout(TORCHVISION, (3, 64, 64), 10)
    assert layout_cache.is_cached(TORCHVISION)
    assert not layout_cache.is_cached(TORCHVISION.replace("x0_5", "x1_0"))
    monkeypatch.setattr(layout_cache, "_versions", lambda package: f"{package}-999")
    assert not layout_cache.is_cached(TORCHVISION)


def test_images_that_are_too_small_are_refused_before_anything_is_cached(cache):
    with pytest.raises(SpecError, match="it needs at least 32x32"):
        architecture_layout(TORCHVISION, (3, 8, 8), 10)
    assert not cache.exists()


@pytest.mark.usefixtures("cache")
def test_an_unknown_name_of_torchvision_is_refused_with_the_nearest_beside_remembered_ones():
    architecture_layout(TORCHVISION, (3, 64, 64), 10)
    with pytest.raises(SpecError, match="unknown architecture 'torchvision/shufflenet_v2_x0_6'; the nearest is"):
        ArchitectureSpec(name="torchvision/shufflenet_v2_x0_6")


PLANNED = """
import sys
from exeunt.models import ArchitectureSpec, architecture_layout, architectures, heads
name = sys.argv[1]
ArchitectureSpec(name=name)
assert name in architectures and "conv" in heads and "resnet9" not in architectures
print(architecture_layout(name, (3, 64, 64), 10).cost.whole, "torch" in sys.modules)
"""


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("name", ["resnet18", "msdnet", TORCHVISION])
def test_names_and_layouts_need_no_torch(name):
    words = [sys.executable, "-c", PLANNED, name]
    if name == TORCHVISION:
        architecture_layout(name, (3, 64, 64), 10)  # now remembered
    ran = subprocess.run(words, capture_output=True, text=True, check=True)
    expected = architecture_layout(name, (3, 64, 64), 10).cost.whole
    assert ran.stdout.split() == [str(expected), "False"]
