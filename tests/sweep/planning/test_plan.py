from collections import Counter

import pytest
from exeunt.sweep.planning.plan import make_plan

HEAD = "name: x\ndataset: digits\narchitectures: [resnet8]\nseeds: [0, 1]\nrecipe: fast\nmethods:\n"


@pytest.fixture
def plan(read):
    """Plans the methods, given as lines."""
    return lambda *methods, head=HEAD: make_plan(read(head + "".join(f"  {line}\n" for line in methods))).trials


def described(trials):
    return [(t.spec.method.name, t.spec.architecture.name, t.spec.seed, t.role) for t in trials]


def test_placements_that_mean_the_same_are_trained_once(plan):
    stages = len(plan("eed: {exits: [all, '1', '2', '1,2']}")) // 2
    assert len(plan("eed: {exits: [all, '1,2']}")) == 2
    assert stages == 3


def test_an_axis_that_has_no_effect_trains_nothing_more(plan):
    assert len(plan("eed: {output_loss: mse, temperature: [1, 2, 3]}")) == 2
    assert len(plan("eed: {output_loss: kl, temperature: [1, 2, 3]}")) == 6
    assert len(plan("eed: {output_loss: [mse, kl], temperature: [1, 2, 3]}")) == 8
    assert len(plan("eed: {output_loss: kl, temperature: [3, 3.0]}")) == 2


def test_a_teacher_is_trained_once_and_before_its_first_student(plan):
    assert described(plan("eed:", "kd: {teacher: resnet14, temperature: [1, 2]}")) == [
        ("eed", "resnet8", 0, "result"),
        ("eed", "resnet8", 1, "result"),
        ("baseline", "resnet14", 0, "teacher"),
        ("kd", "resnet8", 0, "result"),
        ("kd", "resnet8", 1, "result"),
        ("kd", "resnet8", 0, "result"),
        ("kd", "resnet8", 1, "result"),
    ]


@pytest.mark.parametrize("methods", [("baseline:", "kd: {teacher: self}"), ("kd: {teacher: self}", "baseline:")])
def test_a_teacher_that_is_a_row_of_the_table_too_is_a_result(plan, methods):
    trials = plan(*methods)
    assert Counter(described(trials)) == Counter(
        (method, "resnet8", seed, "result") for method in ("baseline", "kd") for seed in (0, 1)
    )
    teachers = {trial.needs for trial in trials if trial.spec.method.name == "kd"}
    assert teachers == {t.key for t in trials if t.spec.method.name == "baseline" and t.spec.seed == 0}


def test_students_of_every_seed_have_the_teacher_of_the_seed_asked_for(plan):
    trials = plan("baseline:", "kd: {teacher: self, teacher_seed: [1, 7]}")
    assert [trial.spec.seed for trial in trials if trial.role == "teacher"] == [7]
    taught = Counter((t.spec.seed, t.spec.teacher.seed) for t in trials if t.spec.teacher)
    assert taught == {(0, 1): 1, (0, 7): 1, (1, 1): 1, (1, 7): 1}


def test_a_file_with_every_axis_plans_what_a_hand_counts(read):
    sweep = read(
        """
name: everything
dataset: [digits]
architectures: [resnet8, resnet14]
seeds: [0, 1, 2]
recipe: [fast, {base: paper, epochs: [1, 2]}]
methods:
  baseline: {}
  kd: {teacher: [self, resnet20], temperature: [2, 4], teacher_seed: [0, 7]}
  final_target: {}
  eed: {exits: [all, "1,2"], output_loss: [mse, kl], temperature: [1, 3]}
"""
    )
    combinations = 2 * 3  # architectures, recipes
    assert len(sweep.trials) == combinations * 3 * (1 + 8 + 1 + 8)
    trials = make_plan(sweep).trials
    asked = combinations * 3 * (1 + 8 + 1 + 3)  # both placements are the same, and so are both temperatures of mse
    teachers = combinations + 3 * 2  # self with seed 7; resnet20 with each recipe and teacher seed
    assert Counter(trial.role for trial in trials) == {"result": asked, "teacher": teachers}


def test_every_trial_stands_after_its_teacher_and_has_a_key_of_its_own(read, good):
    trials = make_plan(read(good)).trials
    keys = [trial.key for trial in trials]
    assert len(set(keys)) == len(keys)
    assert [trial.order for trial in trials] == list(range(len(trials)))
    assert all(trial.needs is None or trial.needs in keys[: trial.order] for trial in trials)


def test_the_name_the_resources_and_the_order_of_the_file_are_no_part_of_a_trial(read, good):
    other = good.replace("tiny", "other").replace("cpu: 1", "cpu: 2").replace("[0, 1]", "[1, 0]")
    assert {t.key for t in make_plan(read(good)).trials} == {t.key for t in make_plan(read(other)).trials}
