"""Sweep files as people write them: types of YAML 1.2, invisible characters, short forms, several mistakes at once."""

import time

import pytest
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.planning.yaml_document import Document, DocumentError

BASE = """\
name: tiny
dataset: digits
architectures: [resnet8]
seeds: [0]
recipe: {base: fast}
methods:
  baseline: {}
"""


@pytest.fixture
def content(tmp_path):
    """Function that returns the content of a YAML text."""

    def read(text):
        (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
        return Document(tmp_path / "a.yaml").content

    return read


@pytest.fixture
def read(tmp_path):
    """Function that reads a sweep file."""

    def read(text):
        (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
        return read_sweep(tmp_path / "a.yaml")

    return read


def with_recipe(*lines):
    return BASE.replace("recipe: {base: fast}", "recipe:\n  base: fast\n" + "\n".join(f"  {line}" for line in lines))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("off", "off"),
        ("No", "No"),
        ("Y", "Y"),
        ("true", True),
        ("False", False),
        ("010", 10),
        ("-07", -7),
        ("0o17", 15),
        ("0x1F", 31),
        ("1:30", "1:30"),
        ("190:20:30.15", "190:20:30.15"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("~", None),
        ("", None),
        ("=", "="),
        ("0b11", "0b11"),
    ],
)
def test_scalars_have_the_types_of_yaml_1_2(content, written, value):
    found = content(f"a: {written}\n")["a"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(("written", "compiled"), [("off", "off"), ("'off'", "off"), ("on", "on")])
def test_a_word_is_text_where_text_is_valid(read, written, compiled):
    assert read(with_recipe(f"compile: {written}")).requested[0].trial.recipe.compile == compiled


@pytest.mark.parametrize(("written", "flip"), [("yes", True), ("no", False), ("[on, off]", None), ("true", True)])
def test_a_word_is_a_boolean_where_a_boolean_is_valid(read, written, flip):
    found = [asked.trial.recipe.flip for asked in read(with_recipe(f"flip: {written}")).requested]
    assert found == ([True, False] if flip is None else [flip])


@pytest.mark.parametrize(
    ("recipe", "hint"),
    [
        ("epochs: 1:30", "but got '1:30', which is text."),
        ("epochs: 1_000", "which is text. Write 1000 without quotes."),
        ("learning_rate: 0,1", "which is text. Write 0.1, or [0, 1] for two values."),
        ("learning_rate: '0.1'", "which is text. Write 0.1 without quotes."),
        ("flip: maybe", "must be true or false, but got 'maybe', which is text."),
        ("flip: {on: 1}", "must be true or false, but got {'on': 1}, which is a mapping."),
    ],
)
def test_a_number_that_is_text_is_refused_with_the_number(read, recipe, hint):
    with pytest.raises(DocumentError, match=r"a.yaml:7: recipe\.\w+: must be") as error:
        read(with_recipe(recipe))
    assert str(error.value).endswith(hint)


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        (BASE.replace("  baseline", "\tbaseline"), ":7", "it has a tab"),
        (BASE.replace("seeds: ", "seeds:\t"), ":4", "it has a tab"),
        (BASE.replace("seeds: ", "seeds:\u00a0"), ":4", "it has a non-breaking space (U+00A0)"),
        (BASE.replace("  baseline", "\u00a0 baseline"), ":7", "it has a non-breaking space"),
        (BASE.replace("[resnet8]", "[resnet8,\u202fresnet14]"), ":3", "it has a narrow non-breaking space"),
        (BASE.replace("digits", "\u201cdigits\u201d"), ":2", "it has a typographic quote"),
        (BASE.replace("digits", "digits\u200b"), ":2", "it has a zero-width space"),
        (BASE.replace("name: tiny", "name:\n\n  ti\n  \u3000ny"), ":4", "it has an ideographic space"),
    ],
)
def test_a_character_that_looks_like_another_is_named_with_its_line(read, text, where, said):
    with pytest.raises(DocumentError) as error:
        read(text)
    assert f"a.yaml{where}: is not valid YAML: {said}" in str(error.value)


def test_such_characters_may_be_in_quotes_and_comments(content):
    assert content("a: 'b\u00a0c'  # d\u00a0e\n") == {"a": "b\u00a0c"}


@pytest.mark.parametrize(
    ("line", "key", "hint"),
    [
        ("eed: {exits: 1,3}", "'3'", 'a comma ends a value between braces; write exits: "1,3" for one value.'),
        ("eed: {exits: 25%,50%, head: linear}", "'50%'", 'write exits: "25%,50%" for one value.'),
        ("eed: {temperature: 0,5}", "'5'", 'write temperature: "0,5" for one value.'),
    ],
)
def test_a_comma_that_ends_a_value_is_noticed(read, line, key, hint):
    with pytest.raises(DocumentError, match=f"methods.eed.*unknown key {key}; ") as error:
        read(f"{BASE}  {line}\n")
    assert str(error.value).endswith(hint)


def test_short_forms_of_seeds_and_methods(read):
    short = read(
        BASE.replace("seeds: [0]", "seeds: 3").replace("methods:\n  baseline: {}\n", "methods: [baseline, eed]")
    )
    long = read(BASE.replace("seeds: [0]", "seeds: [0, 1, 2]").replace("baseline: {}", "baseline: {}\n  eed: {}"))
    assert short.requested == long.requested


def test_the_line_of_a_mistake_in_a_list_of_methods_is_that_of_its_name(read):
    text = BASE.replace("methods:\n  baseline: {}\n", "methods:\n  - baseline\n  - ead\n")
    with pytest.raises(DocumentError, match=r"a.yaml:8: methods.ead: unknown method 'ead'; the nearest is 'eed'"):
        read(text)


def test_keys_for_anchors_are_the_users(read):
    text = BASE.replace("methods:", "x-exits: &exits {exits: all, head: linear}\nx-more: [1]\nmethods:")
    (_, eed) = read(f"{text}  eed: {{<<: *exits, temperature: 2, output_loss: kl}}\n").requested
    assert (eed.trial.exits.head, eed.trial.method.temperature) == ("linear", 2)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(read):
    text = """\
name: tiny
dataset: digts
architectures: [resnet8, resnet9]
seeds: [0, x]
recipe: {base: fast, lr: 0.1, epochs: 0, momentum: 2, flip: 3}
order: random
methods:
  baseline: {exits: all}
  eed: {temperature: [1, 0], output_loss: kk}
  ed: {}
resources: {gpu: -1}
"""
    with pytest.raises(DocumentError) as error:
        read(text)
    lines = str(error.value).splitlines()
    places = [line.partition("a.yaml:")[2].split(": ")[:2] for line in lines[:10]]
    assert places == [
        ["2", "dataset"],
        ["3", "architectures[1]"],
        ["4", "seeds[1]"],
        ["5", "recipe.lr"],
        ["5", "recipe.flip"],
        ["6", "order"],
        ["8", "methods.baseline.exits"],
        ["9", "methods.eed.output_loss"],
        ["10", "methods.ed"],
        ["11", "resources.gpu"],
    ]


def test_all_values_of_a_section_that_are_out_of_range_are_told(read):
    with pytest.raises(DocumentError) as error:
        read(with_recipe("epochs: 0", "momentum: 2", "learning_rate: [0.1, -1]"))
    assert [line.partition("recipe.")[2].partition(":")[0] for line in str(error.value).splitlines()] == [
        "epochs",
        "momentum",
        "learning_rate[1]",
    ]


def test_of_many_mistakes_ten_are_shown_and_the_rest_is_counted(read):
    with pytest.raises(DocumentError) as error:
        read(BASE.replace("[resnet8]", str([f"net{number}" for number in range(25)])))
    lines = str(error.value).splitlines()
    assert (len(lines), lines[-1]) == (11, "... and 15 more mistakes.")


@pytest.mark.parametrize("missing", ["dataset", "architectures", "seeds", "methods", "name"])
def test_what_is_missing_hides_no_other_mistake(read, missing):
    lines = [
        line for line in BASE.splitlines() if not line.startswith((missing, "  " if missing == "methods" else "~"))
    ]
    with pytest.raises(DocumentError) as error:
        read("\n".join(lines).replace("base: fast", "epoch: 3") + "\n")
    # The unknown key of another section is not meant for the missing one.
    assert "recipe.epoch: unknown key 'epoch'; the nearest is 'epochs'" in str(error.value)


def test_the_number_of_trials_is_known_before_they_are_built(read):
    values = [round(0.001 * number, 3) for number in range(1, 1000)]
    text = with_recipe(f"learning_rate: {values}", f"weight_decay: {values}", f"momentum: {values[:-1]}")
    started = time.process_time()
    with pytest.raises(DocumentError) as error:
        read(text)
    assert time.process_time() - started < 5
    said = "the axes give 996,004,998 trials, but `max_trials` is 200,000;"
    assert said in str(error.value)
    assert "max_trials: 996004998." in str(error.value)


def test_the_limit_can_be_raised(read):
    with pytest.raises(DocumentError, match="the axes give 2 trials, but `max_trials` is 1;"):
        read(BASE.replace("[0]", "[0, 1]") + "max_trials: 1\n")
    assert len(read(BASE.replace("[0]", "[0, 1]") + "max_trials: 2\n").trials) == 2


def test_nested_aliases_are_counted_and_not_built(read):
    levels = "".join(f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 8))
    started = time.process_time()
    with pytest.raises(
        DocumentError, match=r"a.yaml:14: is not valid YAML: its aliases \(\*\) repeat more than 1,000,000"
    ):
        read(f"{BASE}x-0: &a0 [1, 2, 3]\n{levels}")
    assert time.process_time() - started < 5


def test_an_alias_of_itself_is_refused(read):
    with pytest.raises(DocumentError, match="is not valid YAML"):
        read(f"{BASE}x-loop: &a [*a]\n")
