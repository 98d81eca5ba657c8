"""The trials and studies of the `search` part of a sweep file."""

import itertools
from dataclasses import replace

import pytest
import torch
from exeunt.models import ArchitectureSpec, ExitSpec, build_network
from exeunt.specs import SpecError
from exeunt.sweep.planning.search_part import HELD_OUT
from exeunt.sweep.planning.search_space import Categorical, NumericRange
from exeunt.sweep.planning.sweep_file import read_sweep
from hypothesis import given
from hypothesis import strategies as st

from .searches import EED, FILE, PLAIN, changed


def space_of(sweep, method):
    return next(space for space in sweep.search.spaces if space.default.method.name == method)


def typed(method, **values):
    """Return the file without `search`, with these values in the section of a method and in the recipe."""
    lines = PLAIN.splitlines()
    number = next(number for number, line in enumerate(lines) if line.startswith(f"  {method}:"))
    sections = {"baseline": {}, "kd": {"teacher": "resnet14"}, "eed": {"output_loss": "kl"}}
    section = {**sections[method], **{name: value for name, value in values.items() if "." not in name}}
    lines[number] = f"  {method}: {section!r}"
    recipe = {"base": "fast", "epochs": 4, "batch_size": 64, "crop": "none", "flip": False}
    recipe |= {name.removeprefix("recipe."): value for name, value in values.items() if "." in name}
    lines[4] = f"recipe: {recipe!r}".replace("False", "false").replace("True", "true").replace("None", "null")
    return "\n".join(lines) + "\n"


def trial_of(sweep, method, seed=0):
    asked = next(asked for asked in sweep.requested if asked.trial.method.name == method)
    return next(iter(asked.trial.with_seeds([seed])))


TUNED = {
    "baseline": [{"recipe.learning_rate": 0.03}],
    "kd": [{"temperature": 2.5}, {"temperature": 8.0}],
    "eed": [
        {"exits": exits, "output_loss": out, "temperature": 2.5, "feature_weight": weight, "recipe.learning_rate": rate}
        for exits, out, weight, rate in itertools.product(["all", "1"], ["mse", "kl"], [0, 1], [0.01, 0.2])
    ],
}  # fmt: skip
CASES = [(method, values) for method, several in TUNED.items() for values in several]


@pytest.mark.parametrize(("method", "values"), CASES, ids=str)
def test_a_trial_is_the_one_that_a_file_with_these_values_asks_for_under_protocol_tuning(read, method, values):
    sweep = read(FILE)
    file = typed(method, **values)
    tried = sweep.search.trial(space_of(sweep, method), values)
    other = read(file + f"protocol: tuning\nvalidation: {HELD_OUT}\n")
    assert tried.key == trial_of(other, method, seed=3).key
    assert tried.protocol == "tuning"
    confirmed = space_of(sweep, method).trial(values)
    assert confirmed.key == trial_of(read(file), method).key
    assert confirmed.protocol == "final"
    assert confirmed.validation == 0


def test_the_teacher_has_the_recipe_of_the_file_and_looks_at_no_test_images_either(read):
    sweep = read(FILE)
    values = {"temperature": 2.5, "recipe.learning_rate": 0.03}
    space = space_of(sweep, "kd")
    tried = sweep.search.trial(space, values)
    plain = read(PLAIN + f"protocol: tuning\nvalidation: {HELD_OUT}\n")
    teacher = trial_of(plain, "kd").teacher
    assert tried.teacher.key == teacher.key == sweep.search.teacher(space).key
    assert (teacher.protocol, teacher.validation, teacher.seed, teacher.recipe.learning_rate) == ("tuning", 0.1, 0, 0.2)
    suggested = read(typed("kd", **values) + f"protocol: tuning\nvalidation: {HELD_OUT}\n")
    assert tried.key == trial_of(suggested, "kd", seed=3).replace(teacher=teacher).key
    confirmed = space.trial(values)
    assert confirmed.teacher.key == trial_of(read(PLAIN), "kd").teacher.key
    assert sweep.search.teacher(space_of(sweep, "baseline")) is None


def test_what_has_no_effect_in_the_file_counts_where_another_value_gives_it_one(read):
    """Examples are momentum with AdamW, milestones with a cosine schedule, and a temperature without a softmax."""
    recipe = "recipe: {base: crd, epochs: 4, optimizer: adamw, momentum: 0.5, schedule: cosine}"
    plain = PLAIN.replace(PLAIN.splitlines()[4], recipe).replace("output_loss: kl", "temperature: 5")
    ranges = "search: {budget: 6, recipe: {optimizer: [sgd, adamw], schedule: [cosine, multistep]}, methods: %s}\n"
    sweep = read(plain + ranges % "{eed: {output_loss: [mse, kl]}}")
    values = {"recipe.optimizer": "sgd", "recipe.schedule": "multistep", "output_loss": "kl"}
    tried = space_of(sweep, "eed").trial(values)
    assert (tried.recipe.momentum, tried.recipe.milestones, tried.method.temperature) == (0.5, (150, 180, 210), 5)
    by_hand = (
        plain.replace("adamw", "sgd").replace("cosine", "multistep").replace("ture: 5", "ture: 5, output_loss: kl")
    )
    assert tried.key == trial_of(read(by_hand), "eed").key
    hotter = read((plain + ranges % "{eed: {output_loss: [mse, kl]}}").replace("temperature: 5", "temperature: 6"))
    identities = [one.search.identity(space_of(one, "eed")) for one in (sweep, hotter)]
    assert identities[0] != identities[1]


def test_weights_of_a_teacher_are_found_where_the_file_says(read, tmp_path):
    network = build_network(ArchitectureSpec(name="resnet14"), ExitSpec(), image_shape=(1, 8, 8), classes=10, seed=0)
    torch.save(network.state_dict(), tmp_path / "teacher.pt")
    sweep = read(FILE.replace("resnet14", "resnet14@teacher.pt"))
    space = space_of(sweep, "kd")
    for trial in (sweep.search.trial(space, {"temperature": 2.0}), space.trial({"temperature": 2.0})):
        assert trial.teacher.path == str(tmp_path / "teacher.pt")
    assert sweep.search.teacher(space) is None
    (tmp_path / "elsewhere.pt").write_bytes((tmp_path / "teacher.pt").read_bytes())
    moved = read(FILE.replace("resnet14", "resnet14@elsewhere.pt"))
    assert moved.search.identity(space_of(moved, "kd")) == sweep.search.identity(space)


SAME = [("budget: 6", "budget: 600"), ("budget: 6", "budget: 4h"), ("seeds: [0, 1, 2]", "seeds: [0, 2, 1]")]
OTHER = [
    ("low: 0.01", "low: 0.02"),
    ("high: 0.5", "high: 0.4"),
    (", log: true", ""),
    ("high: 8}, feature_weight", "high: 9}, feature_weight"),
    ("feature_weight: [0, 1]", "feature_weight: [0, 1, 2]"),
    ("feature_weight: [0, 1], ", ""),
    ("budget: 6", "budget: 6\n  objective: final/multiply_adds"),
    ("budget: 6", "budget: 6\n  sampler: random"),
    ("budget: 6", "budget: 6\n  seed: 9"),
    ("budget: 6", "budget: 6\n  repeats: 3"),
    ("budget: 6", "budget: 6\n  constraints: {parameters: '<= 1M'}"),
    ("name: tuned", "name: tuned\nvalidation: 0.2"),
    ("epochs: 4", "epochs: 5"),
    ("{output_loss: kl}", "{output_loss: kl, ramp_up: 0.5}"),
]


@pytest.mark.parametrize(("old", "new"), SAME + OTHER, ids=str)
def test_a_study_goes_on_where_only_the_budget_is_another(read, old, new):
    assert FILE.count(old) == 1
    sweeps = read(FILE), read(FILE.replace(old, new))
    before, after = (sweep.search.identity(space_of(sweep, "eed")) for sweep in sweeps)
    assert (before == after) == ((old, new) in SAME)


def test_methods_and_networks_have_studies_of_their_own(read):
    sweep = read(FILE.replace("[resnet8]", "[resnet8, resnet14]"))
    assert [space.name for space in sweep.search.spaces] == [
        f"{method}/{network}" for network in ("resnet8", "resnet14") for method in ("baseline", "kd", "eed")
    ]
    assert len({sweep.search.identity(space) for space in sweep.search.spaces}) == 6


@pytest.mark.parametrize(
    ("seeds", "seed"), [("[0, 1, 2]", 3), ("[7]", 0), ("[0, 2]", 1), ("[4294967295, 0]", 1)], ids=str
)
def test_the_seed_is_the_first_that_no_result_has(read, seeds, seed):
    sweep = read(FILE.replace("[0, 1, 2]", seeds))
    assert sweep.search.seed == seed
    for space in sweep.search.spaces:
        assert sweep.search.trial(space, {}).seed == seed


@pytest.mark.parametrize(
    ("seeds", "own", "expected"),
    [("[0, 1, 2]", "", (3, 4, 5)), ("[1, 3]", "", (0, 2, 4)), ("[0, 7]", "\n  seed: 6", (6, 8, 9)),
     ("[0]", "\n  seed: 4294967295", (4294967295, 1, 2))],
    ids=str,
)  # fmt: skip
def test_no_seed_of_a_repeat_is_that_of_a_result(read, seeds, own, expected):
    sweep = read(FILE.replace("[0, 1, 2]", seeds).replace("budget: 6", f"budget: 6\n  repeats: 3{own}"))
    assert sweep.search.seeds == expected
    assert [sweep.search.trial(sweep.search.spaces[0], {}, n).seed for n in range(3)] == [*expected]


def test_a_budget_is_trials_or_device_hours(read):
    assert (read(FILE).search.budget, read(FILE).search.seconds) == (6, None)
    hours = read(FILE.replace("budget: 6", "budget: 1.5h")).search
    assert (hours.budget, hours.seconds) == (None, 5400)
    assert hours.record("hours").effort.startswith(
        "1.5 device-hours by tpe, scored by validation top-1 of the final exit on 10% of"
    )


def test_stages_need_no_quotes_and_what_may_be_left_out_may_be_null(read):
    sweep = read(changed(EED, "{exits: [1, 2], output_weight: [null, 0.5]}"))
    tried = space_of(sweep, "eed").trial({"exits": 1, "output_weight": None})
    assert tried.key == trial_of(read(PLAIN.replace("output_loss: kl", 'output_loss: kl, exits: "1"')), "eed").key


def test_the_defaults_are_what_the_file_asks_for(read):
    sweep, plain = read(FILE), read(PLAIN)
    assert [trial.key for trial in sweep.trials] == [trial.key for trial in plain.trials]
    for space, asked in zip(sweep.search.spaces, plain.requested, strict=True):
        assert space.trial({}).key == asked.trial.key == space.default.key
    held = read(FILE + "validation: 0.3\n")
    assert [trial.key for trial in held.trials] == [trial.key for trial in plain.trials], "results train on all images"
    assert held.search.trial(held.search.spaces[0], {}).validation == 0.3


WIDE = """\
search:
  budget: 6
  recipe:
    learning_rate: {low: 1e-6, high: 1e3, log: true}
    batch_size: {low: 2, high: 256}
    accumulation: {low: 1, high: 16, step: 4}
    momentum: {low: 0.1, high: 1, step: 0.4}
    nesterov: [true, false]
    optimizer: [sgd, adamw]
    schedule: [cosine, multistep, one_cycle]
    policy: [none, trivial_augment]
  methods:
    kd: {temperature: {low: 0.1, high: 100, log: true}, weight: {low: 0, high: 1}, exits: [none, all, block1]}
    eed: {temperature: {low: 1, high: 8}, ramp_up: {low: 0, high: 1}, output_weight: [null, 2], output_loss: [mse, kl]}
"""


@pytest.fixture(scope="session")
def wide(tmp_path_factory):
    path = tmp_path_factory.mktemp("wide") / "sweep.yaml"
    path.write_text(PLAIN + WIDE, encoding="utf-8")
    return read_sweep(path)


def values_in(wanted):
    match wanted:
        case Categorical():
            return st.sampled_from(wanted.values)
        case NumericRange(step=None, whole=True):
            return st.integers(int(wanted.low), int(wanted.high))
        case NumericRange(step=None):
            return st.floats(wanted.low, wanted.high)
    kind, steps = (int if wanted.whole else float), int((wanted.high - wanted.low) / wanted.step + 1e-9)
    return st.integers(0, steps).map(lambda number: kind(wanted.low + number * wanted.step))


@given(data=st.data())
def test_any_values_within_the_ranges_are_a_trial_or_do_not_fit_each_other(data, wide):
    space = data.draw(st.sampled_from(wide.search.spaces))
    values = {name: data.draw(values_in(wanted), label=name) for name, wanted in space.ranges.items()}
    if values["recipe.batch_size"] < 2 * values["recipe.accumulation"]:
        with pytest.raises(SpecError):
            wide.search.trial(space, values)
        return
    tried = wide.search.trial(space, values)
    assert (tried.protocol, tried.validation, tried.seed) == ("tuning", HELD_OUT, 3)
    assert tried.recipe.batch_size == values["recipe.batch_size"]
    assert tried.recipe.learning_rate == values["recipe.learning_rate"]
    confirmed = space.trial(values)
    assert replace(tried, protocol="final", validation=0.0, seed=0, teacher=confirmed.teacher).key == confirmed.key
    assert type(tried).from_dict(tried.to_dict()).key == tried.key


@pytest.mark.parametrize(
    ("low", "high", "step", "highest"),
    [(1, 8, 3, 7), (0, 1, 0.3, 0.9), (0, 1, 0.1, 1), (0.1, 0.7, 0.2, 0.7), (1, 8, None, 8), (0, 1, 0.7, 0.7)],
)
def test_the_highest_value_is_a_step_of_the_range(low, high, step, highest):
    assert NumericRange(low=low, high=high, step=step).highest == highest
    assert NumericRange(low=low, high=high, step=step).ends == {"low": low, "high": highest}
