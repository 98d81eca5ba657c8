import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from exeunt.losses import KD, Baseline
from exeunt.models import ArchitectureSpec, ExitSpec
from exeunt.sweep.execution import trial_queue
from exeunt.sweep.execution.trial_queue import Suggestion, TrialQueue
from exeunt.sweep.planning.cost import Costs
from exeunt.sweep.planning.plan import single
from exeunt.training import DatasetSpec, TrialSpec

DONE = {"state": "done"}
RUNNING = {"state": "running", "epoch": 1}
BUSY = {"state": "busy", "reason": "process 7 on node trains it for another sweep"}
BACK_OFF = 0.05
COSTS = Costs()


def planned(seed, teacher=None, architecture="resnet8"):
    spec = TrialSpec(
        dataset=DatasetSpec(name="digits"),
        architecture=ArchitectureSpec(name=architecture),
        method=KD() if teacher else Baseline(),
        seed=seed,
        teacher=teacher and TrialSpec.from_dict(teacher.spec),
    )
    return single(spec, COSTS, "result", order=seed)


TEACHER, OTHER = planned(0), planned(1)
STUDENT, PUPIL = planned(2, TEACHER), planned(3, TEACHER)


@pytest.fixture
def given_up():
    return {}


@pytest.fixture
def make_queue(given_up):
    """Return a function that makes a queue."""

    def make(trials, done=(), **options):
        return TrialQueue(trials, done, back_off=BACK_OFF, give_up=given_up.__setitem__, **options)

    return make


def suggested(queue):
    suggestion = queue.suggest()
    return suggestion if isinstance(suggestion, str) else suggestion.trial.key


def awaited(queue):
    """Poll the queue as Tune does, and return the next suggested trial."""
    patience = time.monotonic() + 5
    while (suggestion := suggested(queue)) == "wait":
        assert time.monotonic() < patience
        time.sleep(0.005)
    return suggestion


def test_trials_are_handed_out_in_the_order_of_the_plan_one_by_one(make_queue):
    queue = make_queue([OTHER, TEACHER])
    suggestion = queue.suggest()
    assert suggestion == Suggestion(trial=OTHER, gpu=0.0)
    assert [suggested(queue), suggested(queue)] == [TEACHER.key, "wait"]
    queue.ended(OTHER.key, DONE)
    queue.ended(TEACHER.key, DONE)
    assert suggested(queue) == "finished"


def test_a_student_waits_for_its_teacher_and_others_pass_it(make_queue, given_up):
    queue = make_queue([TEACHER, STUDENT, PUPIL, OTHER])
    assert [suggested(queue) for _ in range(3)] == [TEACHER.key, OTHER.key, "wait"]
    queue.ended(OTHER.key, DONE)
    assert suggested(queue) == "wait"
    queue.ended(TEACHER.key, DONE)
    assert [suggested(queue) for _ in range(3)] == [STUDENT.key, PUPIL.key, "wait"]
    assert given_up == {}


def test_a_freed_student_comes_in_the_order_of_the_plan(make_queue):
    late = planned(9)
    queue = make_queue([TEACHER, STUDENT, OTHER, late])
    assert [suggested(queue) for _ in range(2)] == [TEACHER.key, OTHER.key]
    queue.ended(TEACHER.key, DONE)
    assert [suggested(queue) for _ in range(2)] == [STUDENT.key, late.key]


@pytest.mark.parametrize(
    "end",
    [
        {"error": True},
        {"error": True, "last": RUNNING},
        {"error": True, "last": {"state": "failed"}},
        {"error": True, "recorded": "failed"},
        {"error": True, "last": {"state": "diverged"}},
        {"last": {"state": "diverged"}},
        {},
    ],
    ids=str,
)
def test_the_students_of_a_teacher_that_did_not_end_well_are_given_up_at_once_with_the_reason(
    end, make_queue, given_up
):
    queue = make_queue([TEACHER, STUDENT, PUPIL, OTHER], recorded=lambda _: end.get("recorded", "running"))
    assert suggested(queue) == TEACHER.key
    queue.ended(TEACHER.key, end.get("last", {}), error=end.get("error", False))
    assert given_up.keys() == {STUDENT.key, PUPIL.key}
    assert all(TEACHER.key in reason for reason in given_up.values())
    assert suggested(queue) == OTHER.key
    queue.ended(OTHER.key, DONE)
    assert suggested(queue) == "finished"


def test_damaged_images_of_a_teacher_are_no_failure_and_no_reason_to_try_it_again(make_queue, given_up):
    queue = make_queue([TEACHER, STUDENT], retries=5)
    assert suggested(queue) == TEACHER.key
    queue.ended(TEACHER.key, {"state": "unreadable"}, error=True)
    assert queue.retry_delay(TEACHER.key) is None
    assert queue.failures(TEACHER.key) == 0
    assert given_up == {}


def test_the_students_of_a_teacher_done_before_start_at_once(make_queue):
    queue = make_queue([STUDENT, PUPIL], done=[TEACHER.key])
    assert [suggested(queue) for _ in range(2)] == [STUDENT.key, PUPIL.key]


def test_a_student_of_a_student_is_given_up_with_it_when_nobody_trains_the_teacher(make_queue, given_up):
    queue = make_queue([STUDENT, planned(4, STUDENT)])
    assert len(given_up) == 2
    assert suggested(queue) == "finished"


class TestDeaths:
    """Workers that died without a report."""

    def test_its_trial_is_handed_out_again_after_a_time_that_doubles_and_given_up_after_the_last_time(
        self, make_queue, given_up
    ):
        queue = make_queue([TEACHER, STUDENT], retries=2)
        waited = []
        for _ in range(3):
            began = time.monotonic()
            assert awaited(queue) == TEACHER.key
            waited.append(time.monotonic() - began)
            assert suggested(queue) == "wait"
            assert not given_up
            queue.ended(TEACHER.key, RUNNING, error=True)
        assert waited[1] >= 0.9 * BACK_OFF
        assert waited[2] >= 1.8 * BACK_OFF
        assert queue.failures(TEACHER.key) == 3
        assert queue.retry_delay(TEACHER.key) is None
        assert given_up.keys() == {STUDENT.key}
        assert suggested(queue) == "finished"

    def test_others_go_on_meanwhile(self, make_queue):
        queue = make_queue([TEACHER, OTHER, STUDENT], retries=1)
        assert suggested(queue) == TEACHER.key
        queue.ended(TEACHER.key, {}, error=True)
        assert 0 < queue.retry_delay(TEACHER.key) <= BACK_OFF
        assert suggested(queue) == OTHER.key
        assert awaited(queue) == TEACHER.key
        queue.ended(TEACHER.key, DONE)
        assert suggested(queue) == STUDENT.key

    def test_one_that_came_after_the_result_counts_for_nothing(self, make_queue):
        queue = make_queue([TEACHER, STUDENT], retries=2, recorded=lambda _: "done")
        assert suggested(queue) == TEACHER.key
        queue.ended(TEACHER.key, RUNNING, error=True)
        assert queue.failures(TEACHER.key) == 0
        assert suggested(queue) == STUDENT.key

    def test_a_trial_that_was_told_to_go_goes_on_elsewhere_however_often(self, make_queue):
        queue = make_queue([TEACHER], retries=0)
        for _ in range(4):
            assert awaited(queue) == TEACHER.key
            queue.ended(TEACHER.key, {"state": "stopped"}, error=True)
        assert queue.failures(TEACHER.key) == 0
        assert awaited(queue) == TEACHER.key

    def test_a_trial_whose_machine_failed_goes_on_elsewhere_however_often(self, make_queue, given_up):
        queue = make_queue([TEACHER, STUDENT], retries=0)
        for _ in range(4):
            assert awaited(queue) == TEACHER.key
            queue.ended(TEACHER.key, RUNNING, error=True, node_failed=True)
        assert queue.failures(TEACHER.key) == 0
        assert not given_up
        assert awaited(queue) == TEACHER.key


class TestBusy:
    """Trials that another sweep trains now."""

    @pytest.fixture(autouse=True)
    def _short(self, monkeypatch):
        monkeypatch.setattr(trial_queue, "BUSY_DELAY_S", BACK_OFF)

    @pytest.mark.parametrize("recorded", ["waiting", "running", "failed"])
    def test_a_trial_waits_however_often_and_costs_no_retry_and_others_pass_it(self, make_queue, given_up, recorded):
        queue = make_queue([TEACHER, STUDENT, OTHER], retries=0, recorded=lambda _: recorded)
        assert suggested(queue) == TEACHER.key
        queue.ended(TEACHER.key, BUSY)
        assert 0.8 * BACK_OFF < queue.retry_delay(TEACHER.key) <= BACK_OFF
        assert suggested(queue) == OTHER.key
        for _ in range(3):
            assert awaited(queue) == TEACHER.key
            queue.ended(TEACHER.key, BUSY)
        assert queue.failures(TEACHER.key) == 0
        assert awaited(queue) == TEACHER.key
        queue.ended(TEACHER.key, DONE)
        assert suggested(queue) == STUDENT.key
        assert given_up == {}

    def test_the_delay_is_the_same_each_time(self, make_queue):
        queue = make_queue([TEACHER], retries=0)
        for _ in range(3):
            assert awaited(queue) == TEACHER.key
            queue.ended(TEACHER.key, BUSY)
            assert queue.retry_delay(TEACHER.key) <= BACK_OFF

    def test_one_that_the_other_sweep_has_completed_meanwhile_releases_its_students(self, make_queue, given_up):
        queue = make_queue([TEACHER, STUDENT], recorded=lambda _: "done")
        assert suggested(queue) == TEACHER.key
        queue.ended(TEACHER.key, BUSY)
        assert queue.retry_delay(TEACHER.key) is None
        assert suggested(queue) == STUDENT.key
        queue.ended(STUDENT.key, DONE)
        assert suggested(queue) == "finished"
        assert given_up == {}

    def test_the_students_of_one_that_has_diverged_there_are_given_up(self, make_queue, given_up):
        queue = make_queue([TEACHER, STUDENT], recorded=lambda _: "diverged")
        assert suggested(queue) == TEACHER.key
        queue.ended(TEACHER.key, BUSY)
        assert given_up.keys() == {STUDENT.key}
        assert suggested(queue) == "finished"

    @pytest.mark.parametrize(("recorded", "told"), [("running", []), ("done", ["done"]), ("diverged", ["diverged"])])
    def test_a_search_is_told_only_of_an_end(self, make_queue, recorded, told):
        proposals = Proposing(planned(5))
        queue = make_queue([], proposals=proposals, recorded=lambda _: recorded)
        assert suggested(queue) == planned(5).key
        queue.ended(planned(5).key, BUSY)
        assert proposals.told == [(planned(5).key, state) for state in told]


def test_no_more_trials_run_at_once_than_allowed(make_queue):
    queue = make_queue([TEACHER, OTHER, planned(5)], most=2)
    assert [suggested(queue) for _ in range(3)] == [TEACHER.key, OTHER.key, "wait"]
    queue.ended(OTHER.key, DONE)
    assert suggested(queue) == planned(5).key


def test_a_sweep_that_is_to_end_hands_out_nothing_and_gives_up_nobody(make_queue, given_up):
    shutdown = SimpleNamespace(wanted=False)
    queue = make_queue([TEACHER, STUDENT, OTHER], shutting_down=lambda: shutdown.wanted)
    assert suggested(queue) == TEACHER.key
    shutdown.wanted = True
    assert suggested(queue) == "finished"
    queue.ended(TEACHER.key, {"state": "stopped"}, error=True)
    assert suggested(queue) == "finished"
    assert given_up == {}


CROWDED = {"state": "crowded", "reason": "out of memory"}


class TestOutOfMemoryOnASharedGpu:
    """It may be the fault of a neighbour: the trial is retried with a larger share, then alone."""

    @pytest.mark.parametrize(("first", "then"), [(0.25, [0.5, 1.0]), (0.7, [1.0]), (0.5, [1.0]), (0.1, [0.2, 1.0])])
    def test_it_gets_twice_its_share_and_then_the_whole_gpu(self, make_queue, first, then):
        queue = make_queue([TEACHER, STUDENT], share=lambda _: first)
        gpus = [queue.suggest().gpu]
        for _ in then:
            queue.ended(TEACHER.key, CROWDED, error=True)
            assert queue.retry_delay(TEACHER.key) is not None
            assert awaited(queue) == TEACHER.key
            gpus.append(queue.gpu(TEACHER))
        assert gpus == [first, *then]
        assert queue.gpu(STUDENT) == first
        assert queue.failures(TEACHER.key) == 0

    def test_its_failure_alone_on_the_gpu_is_final(self, make_queue, given_up):
        queue = make_queue([TEACHER, STUDENT], share=lambda _: 0.5)
        assert suggested(queue) == TEACHER.key
        queue.ended(TEACHER.key, CROWDED, error=True)
        assert given_up == {}
        assert awaited(queue) == TEACHER.key
        queue.ended(TEACHER.key, {"state": "failed"}, error=True)
        assert given_up.keys() == {STUDENT.key}
        assert suggested(queue) == "finished"

    def test_each_trial_has_its_own_share(self, make_queue):
        queue = make_queue([TEACHER, OTHER], share=lambda trial: 0.25 if trial is TEACHER else 2.0)
        assert [queue.suggest().gpu for _ in range(2)] == [0.25, 2.0]


class Proposing:
    """Source that proposes these trials or None in turn, and records the calls."""

    def __init__(self, *trials):
        self.coming = list(trials)
        self.asked_knowing = []
        self.told = []

    def propose(self, done):
        self.asked_knowing.append(sorted(done))
        return self.coming.pop(0) if self.coming else None

    def ended(self, key, state):
        self.told.append((key, state))


class TestProposals:
    """Trials that are not in the plan."""

    def test_they_are_asked_for_when_nothing_of_the_plan_may_run(self, make_queue):
        proposals = Proposing(planned(5), planned(6))
        queue = make_queue([TEACHER, STUDENT], proposals=proposals)
        assert suggested(queue) == TEACHER.key
        assert proposals.asked_knowing == []
        assert [suggested(queue) for _ in range(3)] == [planned(5).key, planned(6).key, "wait"]
        queue.ended(TEACHER.key, DONE)
        assert suggested(queue) == STUDENT.key
        assert proposals.asked_knowing == [[], [], []]
        assert suggested(queue) == "wait"
        assert proposals.asked_knowing[-1] == [TEACHER.key]

    def test_it_goes_on_after_a_time_without_any(self, make_queue):
        proposals = Proposing(planned(5), None, planned(6))
        queue = make_queue([], proposals=proposals)
        assert [suggested(queue) for _ in range(2)] == [planned(5).key, "wait"]
        queue.ended(planned(5).key, DONE)
        assert suggested(queue) == planned(6).key
        queue.ended(planned(6).key, DONE)
        assert suggested(queue) == "finished"
        assert proposals.told == [(planned(5).key, "done"), (planned(6).key, "done")]

    def test_none_is_asked_for_beyond_what_may_run_at_once_or_when_the_sweep_is_to_end(self, make_queue):
        proposals, shutdown = Proposing(planned(5), planned(6), planned(7)), SimpleNamespace(wanted=False)
        queue = make_queue([], proposals=proposals, most=2, shutting_down=lambda: shutdown.wanted)
        assert [suggested(queue) for _ in range(3)] == [planned(5).key, planned(6).key, "wait"]
        assert len(proposals.asked_knowing) == 2
        shutdown.wanted = True
        queue.ended(planned(5).key, DONE)
        assert suggested(queue) == "finished"
        assert len(proposals.asked_knowing) == 2

    @pytest.mark.parametrize(
        ("end", "told"),
        [
            ({"last": DONE}, "done"),
            ({"last": {"state": "diverged"}}, "diverged"),
            ({"last": RUNNING}, "running"),
            ({"last": {"state": "failed"}, "error": True}, "failed"),
            ({"last": RUNNING, "error": True}, "failed"),
            ({"last": RUNNING, "error": True, "recorded": "done"}, "done"),
            pytest.param({"last": {"state": "unwritable"}, "error": True}, None),
            ({"last": {"state": "unreadable"}, "error": True}, None),
            ({"last": {"state": "stopped"}, "error": True}, None),
            ({}, None),
        ],
        ids=str,
    )
    def test_they_are_told_of_each_end_after_which_a_trial_is_not_run_again(self, make_queue, end, told):
        proposals = Proposing(planned(5))
        queue = make_queue([], proposals=proposals, recorded=lambda _: end.get("recorded", "running"))
        assert suggested(queue) == planned(5).key
        queue.ended(planned(5).key, end.get("last", {}), error=end.get("error", False))
        assert proposals.told == ([(planned(5).key, told)] if told else [])

    def test_one_whose_worker_died_is_told_of_after_its_last_attempt(self, make_queue):
        proposals = Proposing(planned(5))
        queue = make_queue([], proposals=proposals, retries=1)
        for _ in range(2):
            assert proposals.told == []
            assert awaited(queue) == planned(5).key
            queue.ended(planned(5).key, RUNNING, error=True)
        assert proposals.told == [(planned(5).key, "failed")]


@pytest.mark.parametrize("first", [0, 1])
def test_a_trial_waits_for_its_teacher_and_its_backbone(make_queue, first):
    spec = TrialSpec.from_dict(planned(4, OTHER).spec)
    trial = single(replace(spec, seed=0, exits=ExitSpec(placement="all"), regime="mixed"), COSTS, "result", order=0)
    assert trial.depends_on == (OTHER.key, TEACHER.key)
    queue = make_queue([trial, OTHER, TEACHER])
    assert {suggested(queue), suggested(queue)} == {OTHER.key, TEACHER.key}
    assert queue.suggest() == "wait"
    queue.ended(trial.depends_on[first], DONE)
    assert queue.suggest() == "wait"
    queue.ended(trial.depends_on[1 - first], DONE)
    assert suggested(queue) == trial.key


@pytest.mark.parametrize("teacher", ["done", "diverged"])
def test_a_trial_whose_backbone_failed_is_given_up_with_the_reason(make_queue, given_up, teacher):
    spec = TrialSpec.from_dict(planned(4, OTHER).spec)
    trial = single(replace(spec, seed=0, exits=ExitSpec(placement="all"), regime="mixed"), COSTS, "result", order=0)
    queue = make_queue([OTHER, TEACHER, trial])
    suggested(queue), suggested(queue)
    queue.ended(TEACHER.key, {"state": "diverged"})
    reason = {trial.key: f"its backbone, trial {TEACHER.key}, did not complete"}
    assert given_up == reason
    queue.ended(OTHER.key, {"state": teacher})
    assert given_up == reason, "only once"
    assert queue.suggest() == "finished"
