import dataclasses
import json

import pytest
import torch
from exeunt.models import ArchitectureSpec
from exeunt.store import Store
from exeunt.sweep.planning.cost import Costs
from exeunt.sweep.planning.estimate import estimate
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.step_timing import measure
from exeunt.sweep.planning.throughput import AssumedPace, Throughput, step_of
from exeunt.sweep.terminal.plan import overview
from exeunt.training import DataSource, TrialSpec, datasets
from rich.console import Console


@pytest.fixture
def plan(read, good):
    return make_plan(read(good))


def spec_of(trial):
    return TrialSpec.from_dict(trial.spec)


def unwatched(trials, number):
    trials = list(trials)
    assert len(trials) == number
    return trials


def test_rows_add_up_to_all_trials(plan, tmp_path):
    numbers = estimate(plan, Store(tmp_path))
    assert numbers.total.trials == len(plan.trials) == sum(row.total.trials for row in numbers.rows)
    assert numbers.total.multiply_adds == pytest.approx(sum(Costs().training(spec_of(trial)) for trial in plan.trials))
    assert numbers.total.multiply_adds == pytest.approx(sum(row.total.multiply_adds for row in numbers.rows))
    assert numbers.left == numbers.total
    assert numbers.total.hours is None


def test_what_has_ended_is_not_left(plan, ended, tmp_path):
    store = Store(tmp_path)
    done, diverged, failed = plan.trials[:3]
    store.trial(done.key).write_result(ended("done"))
    store.trial(diverged.key).write_result(ended("diverged", reason="epoch 1"))
    store.trial(failed.key).write_failure({"reason": "no memory"})
    numbers = estimate(plan, store)
    assert numbers.left.trials == len(plan.trials) - 2
    trained = sum(Costs().training(spec_of(trial)) for trial in (done, diverged))
    assert numbers.total.multiply_adds - numbers.left.multiply_adds == pytest.approx(trained)
    said = numbers.to_dict()
    assert said["states"] == {"done": 1, "diverged": 1, "failed": 1, "waiting": len(plan.trials) - 3}
    assert {(problem["key"], problem["reason"]) for problem in said["problems"]} == {
        (diverged.key, "epoch 1"),
        (failed.key, "no memory"),
    }


def test_the_numbers_of_a_file_are_those_that_a_hand_counts(plan, tmp_path):
    said = json.loads(json.dumps(estimate(plan, Store(tmp_path)).to_dict()))
    # Two architectures and two seeds; placement `1` of eed is not `all`, because the networks have two exits.
    eed, asked_of_eed = 2 * (1 + 2), 2 * 2 * 2
    assert said["asked"] == 2 * 2 * (1 + 2 + asked_of_eed)
    assert said["trials"] == 2 * 2 * (1 + 2 + eed) + 1
    assert said["merged"] == 2 * 2 * (asked_of_eed - eed)
    assert said["teachers_added"] == 1
    assert said["flat_grid"] == 2 * 2 * 3 * 2 * 3 * 2 * 2


@pytest.mark.slow
def test_a_measured_plan_has_hours_for_every_trial_from_one_timing_of_each_kind(read, good, tmp_path):
    plan = make_plan(read(good.replace("[resnet8, resnet14]", "[resnet8]").replace("resnet20", "resnet14")))
    timed = []

    def watched(trials, number):
        timed.extend(trials)
        assert number == len(timed)
        return timed

    pace = measure(plan, DataSource(), watched)
    assert [(t.architecture.name, t.method.name, t.exits.placement) for t in timed] == [
        *(("resnet8", "baseline", "none"), ("resnet8", "kd", "none"), ("resnet8", "kd", "none")),
        *(("resnet8", "eed", "all"), ("resnet8", "eed", "1"), ("resnet14", "baseline", "none")),
    ]
    assert pace.problems == []
    numbers = estimate(plan, Store(tmp_path), pace)
    for trial in plan.trials:
        assert 0 < pace.seconds_per_image(spec_of(trial)) < 1
    expected = sum(pace.seconds_per_image(spec_of(t)) * 1438 * t.configuration.epochs / 3600 for t in plan.trials)
    assert numbers.total.hours == pytest.approx(expected)
    assert numbers.to_dict()["device"] == pace.device


def test_an_assumed_throughput_gives_the_hours_that_a_division_gives(plan, tmp_path):
    numbers = estimate(plan, Store(tmp_path), AssumedPace(2e9))
    assert numbers.total.hours == pytest.approx(numbers.total.multiply_adds / 2e9 / 3600)
    assert all(row.total.hours == pytest.approx(row.total.multiply_adds / 2e9 / 3600) for row in numbers.rows)
    console = Console(width=200)
    with console.capture() as captured:
        console.print(overview(numbers))
    assert "one trial at a time on each device, assumed, not measured: 2e+09 multiply-adds a second." in captured.get()


def test_a_kind_of_trial_is_what_a_steps_time_depends_on(plan):
    first = spec_of(plan.trials[0])
    assert step_of(next(first.with_seeds([9]))) == step_of(first)
    others = [first.replace(architecture=ArchitectureSpec(name="resnet20")), first.replace(recipe=slower(first.recipe))]
    assert len({step_of(trial) for trial in [first, *others]}) == 3


def slower(recipe):
    return recipe.replace(accumulation=4)


@pytest.mark.slow
def test_data_that_are_not_here_are_said_once_and_the_rest_is_measured(read, good, tmp_path):
    text = good.replace("dataset: digits", "dataset: [digits, cifar10]").replace("[resnet8, resnet14]", "[resnet8]")
    plan = make_plan(read(text))
    pace = measure(plan, DataSource(directory=tmp_path), unwatched)
    (problem,) = pace.problems
    assert problem.startswith("cifar10: ")
    numbers = estimate(plan, Store(tmp_path), pace)
    assert numbers.total.hours > 0
    assert numbers.to_dict()["not_measured"] == [problem]


@pytest.fixture
def enormous():
    """A dataset `digits` that does not fit into memory."""
    digits = datasets["digits"]
    datasets.unregister("digits")
    datasets.register("digits")(dataclasses.replace(digits, load=lambda _: torch.empty(2**56)))
    yield
    datasets.unregister("digits")
    datasets.register("digits")(digits)


@pytest.mark.usefixtures("enormous")
def test_what_does_not_fit_the_memory_is_said(read, good, tmp_path):
    pace = measure(make_plan(read(good[: good.index("  kd:")])), DataSource(directory=tmp_path), unwatched)
    assert pace.problems == [
        f"baseline of {name}, batch 128: cpu, 1 thread has too little memory." for name in ("resnet8", "resnet14")
    ]


@pytest.mark.parametrize("name", ["x", "a-very-long-name-of-a-sweep" * 3])
def test_the_overview_fits_into_80_columns(read, good, ended, tmp_path, name):
    plan = make_plan(read(good.replace("tiny", name)))
    store = Store(tmp_path)
    for trial, state in zip(plan.trials, ("done", "diverged"), strict=False):
        store.trial(trial.key).write_result(ended(state, reason="epoch 1, step 2: loss/total is nan"))
    store.trial(plan.trials[2].key).write_failure({"reason": "no memory"})
    pace = Throughput("NVIDIA H200")
    pace.problems.append("cifar10: there is no folder")
    console = Console(width=80)
    with console.capture() as captured:
        console.print(overview(estimate(plan, store, pace)))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
    assert any("eed" in line for line in lines)
    assert "no memory" in " ".join(captured.get().split())


def printed(plan, store):
    console = Console(width=200)
    with console.capture() as captured:
        console.print(overview(estimate(plan, store)))
    return captured.get()


def test_the_power_of_the_planned_seeds(read, good, ended, tmp_path):
    store = Store(tmp_path)
    compared = good.replace("[resnet8, resnet14]", "[resnet8]").replace("[0, 1]", "[0, 1, 2]")
    plan = make_plan(read(compared + "detect: 0.5\n"))
    said = printed(plan, store)
    assert (
        "Power to detect 0.5 percentage points: 18% with 3 paired seeds, 2% as the worst of 8 Holm-corrected "
        "comparisons. 80% requires 10 seeds, 17 as the worst of 8." in said
    )
    assert "Standard deviation of the paired differences: 0.5 percentage points, assumed; set it with `detect:" in said
    assert "Power" not in printed(make_plan(read(compared)), store)
    named = printed(make_plan(read(compared + "detect: {difference: 0.5, spread: 0.25}\n")), store)
    assert "differences: 0.25 percentage points, set in the sweep file." in named
    for trial in plan.trials:
        if trial.label in ("baseline", "kd teacher=resnet20") and trial.role == "result":
            top1 = 70 + trial.seed + (trial.label != "baseline") * trial.seed / 10
            store.trial(trial.key).write_result(ended("done", metrics={"test/final/top1": top1}))
    found = estimate(plan, store).to_dict()["power"]
    assert found["spread"] == {"value": pytest.approx(0.1), "origin": "from 3 recorded pairs of 1 comparison"}
    assert (found["comparisons"], found["pairs"], found["seeds"]) == (8, 3, 3)
    assert found["power"] > found["worst_power"] > 0.3
