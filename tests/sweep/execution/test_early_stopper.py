from collections import Counter

import pytest
from exeunt.losses import KD, Baseline
from exeunt.models import ArchitectureSpec
from exeunt.specs import content_key
from exeunt.sweep.execution.early_stopper import EarlyStopper, bracket_of
from exeunt.sweep.planning.cost import Costs
from exeunt.sweep.planning.plan import make_plan, single
from exeunt.sweep.planning.stopping import Stopping
from exeunt.training import DatasetSpec, Recipe, TrialSpec

from ..sweep_files import GOOD

EPOCHS = 9
COSTS = Costs()


def planned(seed, *, dataset="digits", epochs=EPOCHS, teacher=None, architecture="resnet8", role="result"):
    spec = TrialSpec(
        dataset=DatasetSpec(name=dataset),
        architecture=ArchitectureSpec(name=architecture),
        method=KD() if teacher else Baseline(),
        recipe=Recipe(epochs=epochs, milestones=()),
        seed=seed,
        teacher=teacher and TrialSpec.from_dict(teacher.spec),
        validation=0.1,
    )
    return single(spec, COSTS, role, order=seed)


TEACHER = planned(9)
TRIALS = [planned(seed) for seed in range(6)]


def record(epoch, top1):
    return {"epoch": epoch, "validation/final/top1": top1}


def test_a_damaged_history_is_reported_once_and_the_others_are_recalled(read, store, trained):
    from exeunt.sweep.execution.runner import _early_stopper

    text = GOOD.replace("epochs: 2", "epochs: 4") + "validation: 0.1\nstopping: {rule: median, grace: 1}\n"
    plan = make_plan(read(text))
    for trial in plan.trials[:3]:
        trained(trial, epochs=4)
    store.trial(plan.trials[1].key).directory.write("history.jsonl", b"{")
    said = []
    early_stopper = _early_stopper(plan, store, said.append)
    assert early_stopper is not None
    assert len(said) == 1
    assert said[0].startswith(f"{plan.trials[1]}: ")
    assert "history.jsonl is damaged" in said[0]


def judged(stopping, trials=TRIALS, accuracies=(60, 50, 40, 30, 20, 10), epochs=EPOCHS):
    """Return the number of epochs after which each trial is stopped, if trained one after the other."""
    early_stopper = EarlyStopper(stopping, trials)

    def trained(trial, top1):
        for epoch in range(1, epochs + 1):
            if early_stopper.stops(trial.key, record(epoch, top1 + epoch)):
                return epoch
        return epochs

    return [trained(trial, top1) for trial, top1 in zip(trials, accuracies, strict=False)]


def test_asha_keeps_the_best_of_each_rung():
    # After 1 and 3 epochs, only trials above two thirds of the earlier ones continue.
    assert judged(Stopping(rule="asha", grace=1, factor=3)) == [9, 1, 1, 1, 1, 1]
    assert judged(Stopping(rule="asha", grace=1, factor=3), accuracies=range(10, 70, 10)) == [9] * 6


def test_nothing_is_stopped_in_its_grace():
    assert judged(Stopping(rule="asha", grace=4, factor=2)) == [9, 4, 4, 4, 4, 4]
    assert judged(Stopping(rule="median", grace=4)) == [9, 9, 9, 4, 4, 4]


def test_the_median_needs_three_to_compare_with():
    assert judged(Stopping(rule="median", grace=1)) == [9, 9, 9, 1, 1, 1]


@pytest.mark.parametrize("rule", ["asha", "median", "hyperband"])
def test_a_trial_that_reached_its_last_epoch_is_not_stopped_there(rule):
    early_stopper = EarlyStopper(Stopping(rule=rule, grace=EPOCHS - 1), TRIALS)
    for trial in TRIALS:
        assert not early_stopper.stops(trial.key, record(EPOCHS, 1))


def test_teachers_are_never_stopped():
    teacher = planned(1)
    early_stopper = EarlyStopper(Stopping(rule="asha", grace=1), [planned(0), teacher, planned(2, teacher=teacher)])
    early_stopper.stops(planned(0).key, record(1, 90))
    assert not early_stopper.stops(teacher.key, record(1, 1))
    assert early_stopper.stops(planned(2, teacher=teacher).key, record(1, 1))


@pytest.mark.parametrize("other", [{"dataset": "cifar10"}, {"epochs": 20}])
def test_trials_are_compared_only_with_their_like(other):
    better = planned(0, **other)
    early_stopper = EarlyStopper(Stopping(rule="asha", grace=1), [better, planned(1)])
    early_stopper.stops(better.key, record(1, 90))
    assert not early_stopper.stops(planned(1).key, record(1, 1))


def test_what_was_measured_before_a_restart_counts():
    stopping = Stopping(rule="asha", grace=1)
    early_stopper = EarlyStopper(stopping, TRIALS)
    early_stopper.recall(TRIALS[0].key, [record(epoch, 90) for epoch in range(1, EPOCHS + 1)])
    early_stopper.recall(TRIALS[1].key, [])
    assert early_stopper.stops(TRIALS[1].key, record(1, 1))


def test_a_trial_that_goes_on_after_its_worker_died_is_not_its_own_rival():
    early_stopper = EarlyStopper(Stopping(rule="asha", grace=1, factor=3), TRIALS)
    early_stopper.stops(TRIALS[0].key, record(1, 90))
    assert not early_stopper.stops(TRIALS[0].key, record(1, 90))
    assert not early_stopper.stops(TRIALS[0].key, record(3, 80))
    assert early_stopper.stops(TRIALS[1].key, record(3, 79))


def test_hyperband_looks_at_some_trials_later():
    stopping = Stopping(rule="hyperband", grace=1, factor=3)
    keys = [f"{number * 2**64 // 13_000:016x}" for number in range(13_000)]
    drawn = Counter(bracket_of(key, stopping, EPOCHS) for key in keys)
    # s_max = 2: 9 trials begin with 1 epoch, 4.5 with 3 and 3 with 9.
    assert [drawn[bracket] / 13_000 for bracket in range(3)] == pytest.approx(
        [9 / 16.5, 4.5 / 16.5, 3 / 16.5], abs=1e-3
    )
    last = dict(zip((trial.key for trial in TRIALS), judged(stopping), strict=True))
    for trial in TRIALS:
        assert last[trial.key] >= 3 ** bracket_of(content_key(trial.spec), stopping, EPOCHS)


class TestSearch:
    """Trials of one method must not reduce the budget of another method."""

    STUDIES = (
        [planned(seed, role="search") for seed in range(3)],
        [planned(seed, role="search", teacher=TEACHER) for seed in range(3)],
        [planned(seed, role="search", architecture="resnet14") for seed in range(3)],
    )
    STOPPING = Stopping(rule="asha", grace=1, factor=3)

    def test_trials_are_judged_among_those_of_their_own_study(self):
        early_stopper = EarlyStopper(self.STOPPING, [TEACHER])
        for trials, best in zip(self.STUDIES, (90, 50, 10), strict=True):
            for trial in trials:
                early_stopper.expect(trial)
            assert not early_stopper.stops(trials[0].key, record(1, best)), (
                "the first of its study, independent of the other studies"
            )
            assert early_stopper.stops(trials[1].key, record(1, best - 1))
            assert not early_stopper.stops(trials[2].key, record(1, best + 1))

    def test_each_study_is_judged_as_if_it_were_alone(self):
        accuracies = (30, 20, 40)
        alone = [judged(self.STOPPING, trials, accuracies) for trials in self.STUDIES]
        early_stopper = EarlyStopper(self.STOPPING, [trial for trials in self.STUDIES for trial in trials])
        together = [[EPOCHS] * 3 for _ in self.STUDIES]
        for turn, top1 in enumerate(accuracies):
            for study, trials in enumerate(self.STUDIES):
                for epoch in range(1, EPOCHS + 1):
                    if early_stopper.stops(trials[turn].key, record(epoch, top1 + epoch)):
                        together[study][turn] = epoch
                        break
        assert together == alone == [[9, 1, 9]] * 3

    def test_what_a_study_measured_before_a_restart_counts_in_it_alone(self):
        early_stopper = EarlyStopper(self.STOPPING, [trial for trials in self.STUDIES for trial in trials])
        early_stopper.recall(self.STUDIES[0][0].key, [record(epoch, 90) for epoch in range(1, EPOCHS + 1)])
        assert early_stopper.stops(self.STUDIES[0][1].key, record(1, 1))
        assert not early_stopper.stops(self.STUDIES[1][1].key, record(1, 1))

    def test_results_are_judged_together_whatever_their_method(self):
        first, second = planned(0), planned(1, teacher=TEACHER)
        early_stopper = EarlyStopper(self.STOPPING, [first, second])
        early_stopper.stops(first.key, record(1, 90))
        assert early_stopper.stops(second.key, record(1, 1))


@pytest.mark.parametrize("rule", ["asha", "median"])
def test_an_epoch_that_is_trained_again_is_judged_once(rule):
    stopping = Stopping(rule=rule, grace=1, factor=3)

    def decisions(*, again):
        early_stopper = EarlyStopper(stopping, TRIALS)
        for trial, top1 in zip(TRIALS[:3], (60, 50, 40), strict=True):
            for epoch in (1, 2, 3, *((2, 3) if again else ())):
                early_stopper.stops(trial.key, record(epoch, top1 + epoch))
        # The means over the epochs of the others are 62, 52 and 42, and more if the last epochs count twice.
        return [early_stopper.stops(TRIALS[3].key, record(epoch, 52.1)) for epoch in (1, 2, 3, 4)]

    assert decisions(again=True) == decisions(again=False)


def test_an_epoch_without_an_evaluation_decides_nothing():
    early_stopper = EarlyStopper(Stopping(rule="asha", grace=1, factor=3), TRIALS)
    assert not early_stopper.stops(TRIALS[0].key, {"epoch": 1})
    assert not early_stopper.stops(TRIALS[0].key, record(2, 60))
    assert not early_stopper.stops(TRIALS[1].key, {"epoch": 1})
    assert early_stopper.stops(TRIALS[1].key, record(2, 10))
