"""Values from the command line in place of those of a sweep file."""

import exeunt
import pytest
from exeunt.specs import SpecError
from exeunt.sweep.planning.overrides import overridden, overrides_of, read_override, written_out
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.planning.yaml_loader import composed, constructed
from hypothesis import given
from hypothesis import strategies as st

from ...command_line import run_in_process

FILE = """\
# a comment
name: tiny
dataset: digits
architectures: [resnet8]
seeds: [0, 1]
x-exits: &exits {exits: all, head: linear}
recipe: fast
methods:
  baseline:
  eed: {<<: *exits, output_loss: kl}
  dks: *exits
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def keys(tmp_path):
    """Return a function from the text of a sweep file, and overrides, to the keys of its trials in their order."""

    def of(text, *overrides):
        path = tmp_path / "one.yaml"
        path.write_text(text)
        return [trial.key for trial in make_plan(read_sweep(path, overrides=overrides)).trials]

    return of


@pytest.mark.parametrize(
    ("overrides", "old", "new"),
    [
        (["recipe.epochs=5"], "recipe: fast", "recipe: {base: fast, epochs: 5}"),
        (["seeds=[0]"], "[0, 1]", "[0]"),
        (["seeds=3", "recipe={base: fast}", "recipe.epochs=[3, 4]"], "[0, 1]\nx", "3\nx"),
        (["methods.baseline=", "methods.eed.temperature=[1, 3]"], "kl}", "kl, temperature: [1, 3]}"),
        (["methods.eed.head=mlp"], "output_loss: kl", "output_loss: kl, head: mlp"),
        (["architectures[0]=resnet14"], "resnet8", "resnet14"),
        (["methods.eed.exits=1,2"], "output_loss: kl", 'output_loss: kl, exits: "1,2"'),
        (["seeds=[4]", "seeds=[5]"], "[0, 1]", "[5]"),
        (["validation=1e-1"], "name: tiny", "name: tiny\nvalidation: 0.1"),
    ],
)  # fmt: skip
def test_a_value_is_that_of_the_file_with_it(overrides, old, new, keys):
    written = FILE.replace(old, new)
    if "recipe.epochs=[3, 4]" in overrides:
        written = written.replace("recipe: fast", "recipe: {base: fast, epochs: [3, 4]}")
    assert keys(FILE, *overrides) == keys(written)


def test_methods_that_are_listed_get_settings(keys):
    listed = FILE[: FILE.index("methods:")] + "methods: [baseline, eed]\n"
    assert keys(listed, "methods.eed.temperature=2") == keys(
        listed.replace("[baseline, eed]", "{baseline: {}, eed: {temperature: 2}}")
    )


def test_the_kept_file_lists_the_overrides_and_gives_the_same_trials(file, keys):
    overrides = ["recipe.epochs=5", "methods.eed.exits=1", 'name="on"', "methods.eed.temperature=1e-3"]
    sweep = read_sweep(file, overrides=overrides)
    assert sweep.name == "on"
    assert sweep.text.startswith(
        "# sweep.yaml with these values from the command line:\n" + "".join(f"#   {one}\n" for one in overrides)
    )
    assert keys(sweep.text) == [trial.key for trial in make_plan(sweep).trials]
    assert read_sweep(file).text == FILE


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("recipe.epochs=abc", "recipe.epochs=abc: must be an integer, but got 'abc', which is text."),
        ("recipe.epoch=5", "recipe.epoch=5: unknown key 'epoch'; the nearest is 'epochs'."),
        ("seeds=[0, a]", "seeds=[0, a]: seeds[1]: must be an integer, but got 'a', which is text."),
        ("method.eed={}", "method.eed={}: method: unknown key 'method'; the nearest is 'methods'."),
        ("methods.edd={}", "methods.edd={}: unknown method 'edd'; the nearest is 'eed'"),
        ("name.x=1", "name.x=1: name is 'tiny', or write a value for all of it, name=..."),
        ("seeds.x=1", "seeds.x=1: seeds is a list; choose an item, such as seeds[0], or write"),
        ("seeds[2]=1", "seeds[2]=1: seeds has 2 items; choose another place, or write the list."),
        ("name[0]=1", "name[0]=1: name is not a list; choose another place"),
        ("seeds=[0", "seeds=[0: is not valid YAML: expected ',' or ']'"),
        ("recipe={a: 1, a: 2}", "recipe={a: 1, a: 2}: is not valid YAML: duplicate key 'a'"),
        ("other.yaml", "'other.yaml': a value in place of one of the file is written KEY=VALUE"),
        ("=3", "'=3': a value in place of one of the file is written KEY=VALUE"),
        ("a..b=3", "'a..b=3': a value in place of one of the file is written KEY=VALUE"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_the_value_as_its_place(override, message, file, tmp_path):
    status, out, err = run_in_process("plan", file, override, "--storage", tmp_path / "runs")
    assert (status, out) == (2, "")
    assert err.startswith(f"exeunt: {message}"), err
    assert err.count("\n") == 1


def test_a_mistake_of_the_file_keeps_its_line(file):
    file.write_text(FILE.replace("[resnet8]", "[resnet9]"))
    with pytest.raises(SpecError, match=r"sweep.yaml:4: architectures\[0\]: unknown architecture 'resnet9'"):
        read_sweep(file, overrides=["seeds=[0]"])


def test_the_package_plans_with_values_of_python(file, tmp_path):
    plan = exeunt.plan(file, storage=tmp_path, overrides={"seeds": (3,), "recipe.epochs": 5, "name": "other"})
    assert plan.name == "other"
    assert {(trial.seed, trial.configuration.epochs) for trial in plan.planned.trials} == {(3, 5)}
    assert overrides_of({"a": None, "b": True, "c": "1"}) == ("a=null", "b=true", 'c="1"')
    assert overrides_of(None) == ()


def test_a_search_that_is_shown_takes_no_values():
    status, _, err = run_in_process("search", "name", "seeds=[0]", "--show")
    assert status == 2
    assert err.startswith("exeunt: seeds=[0]: --show reads a search that was launched")


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
VALUES = st.recursive(
    SCALARS | st.sampled_from(["010", "on", "1:30", "0o10", "5e-4", "~", "<<", "# x", "a: b", "2024-01-01"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(value=VALUES)
def test_any_value_is_kept_as_it_was_given(value):
    try:
        override = read_override(*overrides_of({"x-own.value": value}))
    except SpecError:  # text that no YAML file can have, or a number that is too large
        return
    content = overridden({"name": "a"}, override)
    assert content == {"name": "a", "x-own": {"value": value}}
    assert constructed(composed(written_out(content, [override], "sweep.yaml"))) == content
