from exeunt.losses import EED, KD, Baseline
from exeunt.models import ArchitectureSpec, ExitSpec
from exeunt.sweep.eta import TimeEstimator
from exeunt.sweep.planning.cost import Costs
from exeunt.sweep.planning.plan import single
from exeunt.training import DatasetSpec, Recipe, TrialSpec

EPOCHS = 10
COSTS = Costs()


def planned(seed, architecture="resnet8", method=None, epochs=EPOCHS, teacher=None):
    spec = TrialSpec(
        dataset=DatasetSpec(name="digits"),
        architecture=ArchitectureSpec(name=architecture),
        method=method or Baseline(),
        exits=ExitSpec(placement="all" if isinstance(method, EED) else "none"),
        recipe=Recipe(epochs=epochs, milestones=()),
        seed=seed,
        teacher=teacher and TrialSpec.from_dict(teacher.spec),
    )
    return single(spec, COSTS, "result", order=seed)


FIRST, SECOND, THIRD = (planned(seed).key for seed in range(3))
SMALL = [planned(seed) for seed in range(3)]
LARGE = planned(0, "resnet14")


def trained(pace, key, seconds, epochs):
    for epoch in epochs:
        pace.advance(key, EPOCHS - epoch, seconds)


def test_nothing_is_known_before_the_first_epoch():
    pace = TimeEstimator(SMALL)
    assert pace.seconds_left() is None
    pace.start(FIRST)
    assert pace.seconds_left() is None


def test_one_after_the_other():
    pace = TimeEstimator(SMALL)
    pace.start(FIRST)
    trained(pace, FIRST, 3, [1, 2])
    assert pace.seconds_left() == 3 * (8 + 10 + 10)
    trained(pace, FIRST, 3, range(3, 11))
    pace.end(FIRST)
    assert pace.seconds_left() == 3 * 20


def test_several_at_once_share_the_work_and_none_ends_before_its_own_is_done():
    pace = TimeEstimator(SMALL)
    pace.start(FIRST)
    pace.start(SECOND)
    trained(pace, FIRST, 4, [1])
    trained(pace, SECOND, 4, [1])
    assert pace.seconds_left() == 4 * (9 + 9 + 10) / 2
    pace.end(FIRST)
    pace.end(THIRD)
    assert pace.seconds_left() == 4 * 9


def test_a_trial_that_waits_takes_its_own_time_however_many_run():
    long = planned(9, epochs=50)
    pace = TimeEstimator([*SMALL, long])
    for key in (FIRST, SECOND, THIRD):
        pace.start(key)
        trained(pace, key, 2, range(1, 11))
        pace.end(key)
    assert pace.seconds_left() == 2 * 50


def test_students_train_after_their_teacher():
    student = planned(0, method=KD(), epochs=20, teacher=SMALL[0])
    student_of_student = planned(0, "resnet14", method=KD(), epochs=30, teacher=student)
    trials = [*SMALL, student, planned(1, method=KD(), epochs=20, teacher=SMALL[0]), student_of_student]
    pace = TimeEstimator(trials)
    for key in (FIRST, SECOND, THIRD):
        pace.start(key)
        trained(pace, key, 2, range(1, 10))
    assert pace.seconds_left() == 2 * (1 + 20 + 30)
    pace.end(FIRST)
    pace.start(student.key)
    assert pace.seconds_left() == 2 * (20 + 30)


def test_a_network_not_yet_measured_counts_as_those_most_like_it():
    eed, other = planned(5, method=EED()), planned(6, "resnet14", EED())
    pace = TimeEstimator([*SMALL[:1], LARGE, eed, other])
    pace.start(FIRST)
    trained(pace, FIRST, 1, range(1, 11))
    pace.end(FIRST)
    assert pace.seconds_left() == 1 * 30
    pace.start(LARGE.key)
    trained(pace, LARGE.key, 9, range(1, 11))
    pace.end(LARGE.key)
    assert pace.seconds_left() == 1 * 10 + 9 * 10


def test_a_restart_trains_the_rest_only():
    pace = TimeEstimator(SMALL[:2])
    pace.recall(SMALL[0], 7, 14)
    assert pace.seconds_left() == 2 * (3 + 10)
    pace.start(FIRST)
    trained(pace, FIRST, 2, [8])
    assert pace.seconds_left() == 2 * (2 + 10)
    pace.pause(FIRST)
    assert pace.seconds_left() == 2 * (2 + 10)
    pace.start(FIRST)
    trained(pace, FIRST, 2, [9, 10])
    pace.end(FIRST)
    assert pace.seconds_left() == 2 * 10


def test_trials_that_were_done_before_tell_the_pace():
    pace = TimeEstimator(SMALL[:1])
    pace.recall(SMALL[1], 10, 50)
    pace.recall(LARGE, 0, 0.0)
    assert pace.seconds_left() == 5 * 10


def test_a_trial_that_ends_early_leaves_no_work():
    pace = TimeEstimator(SMALL[:2])
    pace.start(FIRST)
    trained(pace, FIRST, 2, [1])
    pace.end(FIRST)
    pace.end(SECOND)
    assert pace.seconds_left() == 0


def test_trials_to_come_count_as_the_one_they_are_like_until_they_are_known():
    pace = TimeEstimator(SMALL[:1])
    pace.start(FIRST)
    trained(pace, FIRST, 2, range(1, 11))
    pace.end(FIRST)
    assert pace.seconds_left() == 0
    pace.add_expected(SMALL[1], 3)
    assert pace.seconds_left() == 2 * 30
    pace.add_expected(SMALL[1], -1)
    pace.expect(SMALL[2])
    assert pace.seconds_left() == 2 * 30
    pace.start(THIRD)
    trained(pace, THIRD, 2, [1])
    pace.end(THIRD)
    assert pace.seconds_left() == 2 * 20
