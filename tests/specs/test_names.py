from typing import get_args

import pytest
from exeunt.losses import methods
from exeunt.specs import Registry, SpecError, nearest
from exeunt.specs.synonyms import SYNONYMS, simplified
from exeunt.sweep.planning.blocks import Axes
from exeunt.sweep.planning.method_configs import EXIT_KEYS, Teacher
from exeunt.sweep.planning.parsing import field_names
from exeunt.sweep.planning.resources import Resources
from exeunt.sweep.planning.search_part import SearchKeys
from exeunt.sweep.planning.search_space import Sampler
from exeunt.sweep.planning.settings import Settings
from exeunt.training import Recipe
from exeunt.training.schedules import schedules
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def planets() -> Registry[int]:
    registry: Registry[int] = Registry("planet")
    for number, name in enumerate(["venus", "mars", "saturn"]):
        registry.register(name)(number)
    return registry


@pytest.mark.parametrize(
    ("name", "choices", "said"),
    [
        ("resnet19", ["resnet18", "vgg16_bn"], "the nearest is 'resnet18'"),
        ("ed", ["eed", "kd", "baseline"], "the nearest is 'eed' or 'kd'"),
        ("xyz", ["b", "a"], "choose from 'a', 'b'"),
        ("xyz", [], "no choices are available"),
        ("lr", ["epochs", "learning_rate", "momentum"], "the nearest is 'learning_rate'"),
        ("LR", ["epochs", "learning_rate", "momentum"], "the nearest is 'learning_rate'"),
        ("T", ["weight", "temperature"], "the nearest is 'temperature'"),
        ("alpha", ["weight", "temperature"], "the nearest is 'weight'"),
        ("alpha", ["alpha", "weight"], "the nearest is 'alpha'"),
        ("num-epochs", ["epochs", "exits"], "the nearest is 'epochs'"),
        ("WRN-40-2", ["wrn_40_1", "wrn_40_2", "resnet20"], "the nearest is 'wrn_40_2'"),
        ("WideResNet-28-10", ["wrn_28_10", "wrn_16_1"], "the nearest is 'wrn_28_10'"),
        ("ResNet-18", ["resnet8", "resnet18"], "the nearest is 'resnet18'"),
        ("CIFAR-100", ["cifar10", "cifar100"], "the nearest is 'cifar100'"),
        ("Fashion MNIST", ["mnist", "fashion_mnist"], "the nearest is 'fashion_mnist'"),
        ("KD", ["kd", "dkd"], "the nearest is 'kd'"),
        ("?", [f"a{number}" for number in range(10, 52)], "'a49' and 2 more"),
    ],
)
def test_the_nearest_names_are_told_or_else_what_there_is(name, choices, said):
    assert nearest(name, choices).endswith(said)


def test_each_word_of_the_field_leads_to_names_that_exist():
    fields = {*Recipe.field_infos(), *EXIT_KEYS, *Teacher.field_infos(), *Resources.field_infos(), "budget"}
    fields |= {name for method in methods for name in methods[method].field_infos()}
    fields |= {*field_names(Settings), *field_names(Axes), *field_names(SearchKeys)}
    known = {*fields, *methods, *get_args(Sampler), *schedules}
    assert {name for names in SYNONYMS.values() for name in names} - known == set()
    assert all(word == simplified(word) for word in SYNONYMS)


@pytest.mark.slow
@given(st.text(min_size=3, max_size=20))
def test_a_name_without_its_last_letter_is_found(name):
    assert nearest(name[:-1], [name]) == f"the nearest is {name!r}"


def test_an_unknown_entry_is_refused_with_kind_and_nearest_name(planets):
    with pytest.raises(SpecError, match=r"unknown planet 'mrs'; the nearest is 'mars'\.") as refusal:
        planets["mrs"]
    assert refusal.value.field == "planet"


def test_a_name_cannot_be_registered_twice(planets):
    with pytest.raises(ValueError, match="the planet 'mars' is already registered"):
        planets.register("mars")(7)
    assert planets["mars"] == 1


def test_names_are_listed_with_their_numbers_in_numeric_order():
    registry: Registry[str] = Registry("architecture")
    for name in ("resnet110", "vgg16_bn", "resnet8", "resnet20", "vgg8"):
        registry.register(name)(name)
    assert list(registry) == ["resnet8", "resnet20", "resnet110", "vgg8", "vgg16_bn"]


@pytest.mark.parametrize("unhashable", [["mars"], {"mars": 1}, None])
def test_what_is_no_name_is_not_in_a_registry(planets, unhashable):
    assert unhashable not in planets
    with pytest.raises(SpecError, match="unknown planet"):
        planets[unhashable]


def test_a_lazy_entry_is_loaded_only_when_it_is_looked_up(planets):
    loaded = []
    planets.register_lazily("pluto", lambda: loaded.append("pluto") or 9)
    assert "pluto" in planets
    assert "pluto" in list(planets)
    planets.check("pluto")
    with pytest.raises(SpecError, match="the nearest is 'pluto'"):
        planets.check("plut")
    with pytest.raises(SpecError, match="the planet 'pluto' is already registered"):
        planets.register("pluto")(7)
    assert loaded == []
    assert planets["pluto"] == 9
    planets.unregister("pluto")
    assert "pluto" not in planets
