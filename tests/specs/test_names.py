import pytest
from exeunt.specs import Registry, SpecError, nearest
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
        ("?", [f"{letter}{letter}" for letter in "abcdefghijklmn"], "'ll' and 2 more"),
    ],
)
def test_the_nearest_names_are_told_or_else_what_there_is(name, choices, said):
    assert nearest(name, choices).endswith(said)


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
