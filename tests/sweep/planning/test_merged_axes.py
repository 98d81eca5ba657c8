"""Values of an axis that give one experiment: the reason is named, with its line and a change."""

import json

import pytest
from exeunt.sweep.planning.estimate import estimate
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.sweep_file import read_sweep

from ...command_line import run_in_process

SWEEP = """\
name: mine
dataset: digits
architectures: [resnet8, resnet14]
seeds: [0]
recipe: {{base: fast, epochs: 2{recipe}}}
methods:
  {methods}
"""
WHOLE = {
    "a temperature under mse": (
        "eed: {temperature: [1, 3, 5]}",
        "methods.eed.temperature: all 3 values are one experiment: temperature has no effect with output_loss: mse. "
        "Set output_loss: kl, or give one value.",
    ),
    "a temperature with weight 0": (
        "eed: {temperature: [1, 3], output_loss: kl, output_weight: 0}",
        "temperature has no effect with output_weight: 0. Set output_weight: 1",
    ),
    "a temperature under mse with weight 0": (
        "eed: {temperature: [1, 3], output_weight: 0}",
        "no effect with output_loss: mse and output_weight: 0. Set output_loss: kl and output_weight: 1",
    ),
    "a base without BEED's weights": (
        "eed: {ensemble_base: [1.2, 1.6]}",
        "ensemble_base has no effect with ensemble_weights: uniform. Set ensemble_weights: beed",
    ),
    "an output loss with weight 0": (
        "eed: {output_loss: [mse, kl], output_weight: 0}",
        "output_loss has no effect with output_weight: 0",
    ),
    "a head without exits": (
        "kd: {teacher: resnet20, head: [conv, linear]}",
        "methods.kd.head: all 2 values are one experiment: head has no effect with exits: none. Set exits: all",
    ),
    "exits in two notations": ('eed: {exits: [all, "1,2"]}', "exits all and 1,2 are after the same blocks of resnet8"),
    "a value twice": ("eed: {label_weight: [1, 1.0]}", "label_weight: 1 occurs twice. Remove the values that repeat"),
    "a ramp without a term": (
        "eed: {ramp_up: [0.1, 0.5], output_weight: 0, feature_weight: 0}",
        "ramp_up has no effect with",
    ),
}
"""Methods of a sweep, and a part of the warning."""
RECIPES = {
    "momentum": (
        ", optimizer: adamw, momentum: [0.8, 0.9]",
        "momentum has no effect with optimizer: adamw. Set optimizer: sgd",
    ),
    "decay": (
        ", schedule: cosine, decay: [0.1, 0.2]",
        "decay has no effect with schedule: cosine. Set schedule: multistep",
    ),
    "milestones": (", schedule: cosine, milestones: [[1], [1, 2]]", "milestones has no effect with schedule: cosine"),
    "decay of norms": (
        ", weight_decay: 0, decay_norms: [true, false]",
        "decay_norms has no effect with weight_decay: 0. Set weight_decay: 1",
    ),
    "evaluations": (", evaluate_every: [1, 2]", "evaluate_every has no effect with protocol: final and validation: 0"),
}
"""Settings of a recipe, and a part of the warning."""


@pytest.fixture
def sweep_of(tmp_path):
    """Function that reads a sweep with these methods and settings of its recipe."""

    def read(methods, recipe=""):
        path = tmp_path / "sweep.yaml"
        path.write_text(SWEEP.format(methods=methods, recipe=recipe))
        return read_sweep(path)

    return read


@pytest.mark.parametrize("name", WHOLE)
def test_an_axis_without_effect_is_a_warning_with_its_line(name, sweep_of):
    methods, part = WHOLE[name]
    (warning,) = sweep_of(methods).warnings
    assert "sweep.yaml:7: methods." in warning
    assert part in warning
    assert warning.endswith(", or give one value.")


@pytest.mark.parametrize("name", RECIPES)
def test_an_axis_of_the_recipe_without_effect_is_a_warning(name, sweep_of):
    recipe, part = RECIPES[name]
    warning = sweep_of("baseline: {}", recipe).warnings[-1]
    assert "sweep.yaml:5: recipe." in warning
    assert part in warning


@pytest.mark.parametrize(
    "methods",
    [
        "eed: {temperature: [1, 3], output_loss: kl}",
        "eed: {output_loss: [mse, kl], output_weight: [0.1, 1]}",
        "kd: {teacher: [self, resnet20], temperature: [2, 4]}",
        'eed: {exits: [all, "1"], head: [conv, linear]}',
    ],
)
def test_axes_with_an_effect_are_not_named(methods, sweep_of):
    sweep = sweep_of(methods)
    assert (sweep.merged_axes, sweep.warnings) == ((), ())


@pytest.mark.parametrize(
    ("methods", "reasons"),
    [
        (
            "eed: {temperature: [1, 3], output_loss: [mse, kl]}",
            ["temperature has no effect with output_loss: mse"],
        ),
        ("eed: {output_loss: [mse, kl], output_weight: [0, 1]}", ["output_loss has no effect with output_weight: 0"]),
        ("kd: {teacher: [self, resnet14]}", ["teachers self and resnet14 are the same network for resnet14"]),
        ('eed: {exits: ["1", "50%", "2"]}', None),
    ],
)
def test_an_axis_with_an_effect_in_some_trials_is_a_note_and_no_warning(methods, reasons, sweep_of, store):
    sweep = sweep_of(methods)
    assert sweep.warnings == ()
    (axis,) = sweep.merged_axes
    assert reasons is None or list(axis.reasons) == reasons
    assert "some values are one experiment" in axis.note
    said = estimate(make_plan(sweep), store).to_dict()
    assert said["merged"] > 0
    assert [one["no_effect"] for one in said["merged_axes"]] == [False]


def test_the_reasons_are_those_of_the_issue(sweep_of, store):
    sweep = sweep_of('eed: {temperature: [1, 3, 5], exits: ["1", all], output_weight: [0.1, 1]}')
    (warning,) = sweep.warnings
    assert "temperature has no effect with output_loss: mse. Set output_loss: kl" in warning
    said = estimate(make_plan(sweep), store).to_dict()
    assert (said["trials"], said["merged"]) == (8, 16)
    (axis,) = said["merged_axes"]
    assert axis["section"] == "eed"
    assert axis["field"] == "temperature"
    assert axis["reasons"] == ["temperature has no effect with output_loss: mse"]
    assert axis["fix"] == "Set output_loss: kl"
    assert axis["no_effect"]


def test_plan_prints_warnings_and_notes(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(
        SWEEP.format(methods="eed: {temperature: [1, 3], output_loss: [mse, kl], ensemble_base: [1, 2]}", recipe="")
    )
    status, out, err = run_in_process("plan", path, "--storage", tmp_path / "runs")
    assert status == 0
    assert err.startswith(f"warning: {path}:7: methods.eed.ensemble_base: all 2 values are one experiment: ")
    text = " ".join(out.split())
    assert "Skipped: 10 duplicates of other trials." in text
    assert "methods.eed.temperature: some values are one experiment: temperature has no effect" in text
    answer = run_in_process("plan", path, "--storage", tmp_path / "runs", "--json")
    assert [axis["field"] for axis in json.loads(answer.out)["merged_axes"]] == ["temperature", "ensemble_base"]
