from types import SimpleNamespace

import pytest
from exeunt.losses import EED, Baseline
from exeunt.models import ArchitectureSpec, ExitSpec
from exeunt.sweep.eta import TimeEstimator
from exeunt.sweep.planning.cost import Costs
from exeunt.sweep.planning.plan import single
from exeunt.training import DatasetSpec, Recipe, TrialSpec

EPOCHS = 10
COSTS = Costs()


def planned(seed, architecture="resnet8", method=None):
    spec = TrialSpec(
        dataset=DatasetSpec(name="digits"),
        architecture=ArchitectureSpec(name=architecture),
        method=method or Baseline(),
        exits=ExitSpec(placement="all" if method else "none"),
        recipe=Recipe(epochs=EPOCHS, milestones=()),
        seed=seed,
    )
    return single(spec, COSTS, "result", order=seed)


FIRST, SECOND, THIRD = (planned(seed).key for seed in range(3))
SMALL = [planned(seed) for seed in range(3)]
LARGE = planned(0, "resnet14")


@pytest.fixture
def clock():
    return SimpleNamespace(now=100.0)


def paced(trials, clock):
    return TimeEstimator(trials, clock=lambda: clock.now)


def trained(pace, clock, key, seconds, epochs):
    for epoch in epochs:
        clock.now += seconds
        pace.advance(key, epoch, EPOCHS)


def test_nothing_is_known_before_the_first_epoch(clock):
    pace = paced(SMALL, clock)
    assert pace.seconds_left() is None
    pace.start(FIRST)
    assert pace.seconds_left() is None


def test_one_after_the_other(clock):
    pace = paced(SMALL, clock)
    pace.start(FIRST)
    trained(pace, clock, FIRST, 3, [1, 2])
    assert pace.seconds_left() == 3 * (8 + 10 + 10)
    trained(pace, clock, FIRST, 3, range(3, 11))
    pace.end(FIRST)
    assert pace.seconds_left() == 3 * 20


def test_several_at_once_share_the_work_and_none_ends_before_its_own_is_done(clock):
    pace = paced(SMALL, clock)
    pace.start(FIRST)
    pace.start(SECOND)
    clock.now += 4
    pace.advance(FIRST, 1, EPOCHS)
    pace.advance(SECOND, 1, EPOCHS)
    assert pace.seconds_left() == 4 * (9 + 9 + 10) / 2
    pace.end(FIRST)
    pace.end(THIRD)
    assert pace.seconds_left() == 4 * 9


def test_a_network_not_yet_measured_counts_as_those_most_like_it(clock):
    eed, other = planned(5, method=EED()), planned(6, "resnet14", EED())
    pace = paced([*SMALL[:1], LARGE, eed, other], clock)
    pace.start(FIRST)
    trained(pace, clock, FIRST, 1, range(1, 11))
    pace.end(FIRST)
    assert pace.seconds_left() == 1 * 30
    pace.start(LARGE.key)
    trained(pace, clock, LARGE.key, 9, range(1, 11))
    pace.end(LARGE.key)
    assert pace.seconds_left() == 1 * 10 + 9 * 10


def test_a_restart_trains_the_rest_only_and_waiting_again_takes_no_time(clock):
    pace = paced(SMALL[:2], clock)
    pace.start(FIRST)
    trained(pace, clock, FIRST, 2, [8])
    assert pace.seconds_left() == 2 * (2 + 10)
    pace.pause(FIRST)
    clock.now += 1000
    assert pace.seconds_left() == 2 * (2 + 10)
    pace.start(FIRST)
    trained(pace, clock, FIRST, 2, [9, 10])
    pace.end(FIRST)
    assert pace.seconds_left() == 2 * 10


def test_a_trial_that_ends_early_leaves_no_work(clock):
    pace = paced(SMALL[:2], clock)
    pace.start(FIRST)
    trained(pace, clock, FIRST, 2, [1])
    pace.end(FIRST)
    pace.end(SECOND)
    assert pace.seconds_left() == 0


def test_trials_to_come_count_as_the_one_they_are_like_until_they_are_known(clock):
    pace = paced(SMALL[:1], clock)
    pace.start(FIRST)
    trained(pace, clock, FIRST, 2, range(1, 11))
    pace.end(FIRST)
    assert pace.seconds_left() == 0
    pace.add_expected(SMALL[1], 3)
    assert pace.seconds_left() == 2 * 30
    pace.add_expected(SMALL[1], -1)
    pace.expect(SMALL[2])
    assert pace.seconds_left() == 2 * 30
    pace.start(THIRD)
    trained(pace, clock, THIRD, 2, [1])
    pace.end(THIRD)
    assert pace.seconds_left() == 2 * 20
