import pytest
from exeunt.results.figures.groups import MOST, groups, looks
from exeunt.results.figures.style import written
from exeunt.results.labels import Column


def columns(**settings):
    """Return a column for each setting of each method, by its number of settings."""
    return [
        Column(method=method, settings=(f"temperature={place}",) if number > 1 else ())
        for method, number in settings.items()
        for place in range(number)
    ]


@pytest.mark.parametrize(
    ("settings", "names", "sizes"),
    [
        ({"baseline": 1, "kd": 1, "eed": 4}, [""], [6]),
        ({"baseline": 1, "kd": 1, "eed": 6, "at": 1}, ["kd, at", "eed (1 of 2)", "eed (2 of 2)"], [3, 4, 4]),
        ({"kd": 5, "eed": 2, "at": 1}, ["kd, at", "eed"], [6, 2]),
        (dict.fromkeys("abcdefgh", 1), ["a and 5 other methods", "g, h"], [6, 2]),
    ],
)
def test_many_configurations_are_divided_by_method(settings, names, sizes):
    made = columns(**settings)
    baseline = next((column for column in made if column.method == "baseline"), None)
    found = groups(made, baseline)
    assert [group.name for group in found] == names
    assert [len(group.lines) for group in found] == sizes
    drawn = [column for group in found for column in group.columns]
    assert sorted(drawn, key=made.index) == [column for column in made if column != baseline]
    looked = looks(made, found)
    for group in found:
        assert len(group.lines) <= MOST
        assert len({looked[column].color for column in group.lines}) == len(group.lines)
    assert len({(str(one.line), one.marker) for one in looked.values()}) == len(made)


@pytest.mark.parametrize(
    ("name", "width", "lines"),
    [
        ("eed output_weight=0.3, temperature=1", 24, ["eed output_weight=0.3,", "temperature=1"]),
        ("block1,block2,block3", 14, ["block1,block2,", "block3"]),
        ("output_weight=0.125", 10, ["output_", "weight=0.125"]),
        ("learning_rate=1e-3", 40, ["learning_rate=1e-3"]),
        ("a" * 90, 16, ["a" * 40, "a" * 40, "a" * 10]),
        ("", 16, ["–"]),
    ],
)
def test_names_are_wrapped_between_words(name, width, lines):
    assert written(name, width).split("\n") == lines
