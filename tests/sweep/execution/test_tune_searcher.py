import json
import math
import time
from types import SimpleNamespace

import pytest
from exeunt.losses import KD, Baseline
from exeunt.models import ArchitectureSpec
from exeunt.sweep.execution import tune_searcher
from exeunt.sweep.execution.gpu_packing import Packing
from exeunt.sweep.execution.tune_searcher import PlanSearcher
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
def search(given_up):
    """Return a function that makes a searcher."""

    def make(trials, done=(), **options):
        return PlanSearcher(trials, done, back_off=BACK_OFF, give_up=given_up.__setitem__, **options)

    return make


def suggested(searcher, trial_id):
    suggestion = searcher.suggest(trial_id=trial_id)
    return suggestion["key"] if isinstance(suggestion, dict) else suggestion


def awaited(searcher, trial_id):
    """Poll the searcher as Tune does, and return the next suggested trial."""
    patience = time.monotonic() + 5
    while (suggestion := suggested(searcher, trial_id)) is None:
        assert time.monotonic() < patience
        time.sleep(0.005)
    return suggestion


def test_trials_are_handed_out_in_the_order_of_the_plan_as_specs_that_can_be_read_back(search):
    searcher = search([OTHER, TEACHER])
    suggestion = searcher.suggest(trial_id="a")
    assert TrialSpec.from_dict(json.loads(suggestion["spec"])).key == suggestion["key"] == OTHER.key
    assert [suggested(searcher, "b"), suggested(searcher, "c")] == [TEACHER.key, None]
    searcher.on_trial_complete(trial_id="a", result=DONE)
    searcher.on_trial_complete(trial_id="b", result=DONE)
    assert suggested(searcher, "c") == PlanSearcher.FINISHED


def test_a_student_waits_for_its_teacher_and_others_pass_it(search, given_up):
    searcher = search([TEACHER, STUDENT, PUPIL, OTHER])
    assert [suggested(searcher, trial_id) for trial_id in "abc"] == [TEACHER.key, OTHER.key, None]
    searcher.on_trial_complete(trial_id="b", result=DONE)
    assert suggested(searcher, "c") is None
    searcher.on_trial_complete(trial_id="a", result=DONE)
    assert [suggested(searcher, trial_id) for trial_id in "cde"] == [STUDENT.key, PUPIL.key, None]
    assert given_up == {}


def test_a_freed_student_comes_in_the_order_of_the_plan(search):
    late = planned(9)
    searcher = search([TEACHER, STUDENT, OTHER, late])
    assert [suggested(searcher, trial_id) for trial_id in "ab"] == [TEACHER.key, OTHER.key]
    searcher.on_trial_complete(trial_id="a", result=DONE)
    assert [suggested(searcher, trial_id) for trial_id in "cd"] == [STUDENT.key, late.key]


@pytest.mark.parametrize(
    "end",
    [
        {"error": True},
        {"error": True, "reported": RUNNING},
        {"error": True, "reported": {"state": "failed"}},
        {"error": True, "recorded": "failed"},
        {"error": True, "reported": {"state": "diverged"}},
        {"result": {"state": "diverged"}},
        {"result": None},
    ],
    ids=str,
)
def test_the_students_of_a_teacher_that_did_not_end_well_are_given_up_at_once_with_the_reason(end, search, given_up):
    searcher = search([TEACHER, STUDENT, PUPIL, OTHER], recorded=lambda _: end.get("recorded", "running"))
    assert suggested(searcher, "a") == TEACHER.key
    if "reported" in end:
        searcher.on_trial_result("a", end["reported"])
    searcher.on_trial_complete(trial_id="a", error=end.get("error", False), result=end.get("result"))
    assert given_up.keys() == {STUDENT.key, PUPIL.key}
    assert all(TEACHER.key in reason for reason in given_up.values())
    assert suggested(searcher, "b") == OTHER.key
    searcher.on_trial_complete(trial_id="b", result=DONE)
    assert suggested(searcher, "c") == PlanSearcher.FINISHED


def test_the_students_of_a_teacher_done_before_start_at_once(search):
    searcher = search([STUDENT, PUPIL], done=[TEACHER.key])
    assert [suggested(searcher, trial_id) for trial_id in "ab"] == [STUDENT.key, PUPIL.key]


def test_a_student_of_a_student_is_given_up_with_it_when_nobody_trains_the_teacher(search, given_up):
    searcher = search([STUDENT, planned(4, STUDENT)])
    assert len(given_up) == 2
    assert suggested(searcher, "a") == PlanSearcher.FINISHED


class TestDeaths:
    """Workers that died without a report."""

    def test_its_trial_is_handed_out_again_after_a_time_that_doubles_and_given_up_after_the_last_time(
        self, search, given_up
    ):
        searcher = search([TEACHER, STUDENT], retries=2)
        waited = []
        for attempt in "abc":
            began = time.monotonic()
            assert awaited(searcher, attempt) == TEACHER.key
            waited.append(time.monotonic() - began)
            assert suggested(searcher, "other") is None
            assert not given_up
            searcher.on_trial_result(attempt, RUNNING)
            searcher.on_trial_complete(trial_id=attempt, error=True)
        assert waited[1] >= 0.9 * BACK_OFF
        assert waited[2] >= 1.8 * BACK_OFF
        assert searcher.failures(TEACHER.key) == 3
        assert searcher.retry_delay(TEACHER.key) is None
        assert given_up.keys() == {STUDENT.key}
        assert suggested(searcher, "d") == PlanSearcher.FINISHED

    def test_others_go_on_meanwhile(self, search):
        searcher = search([TEACHER, OTHER, STUDENT], retries=1)
        assert suggested(searcher, "a") == TEACHER.key
        searcher.on_trial_complete(trial_id="a", error=True)
        assert 0 < searcher.retry_delay(TEACHER.key) <= BACK_OFF
        assert suggested(searcher, "b") == OTHER.key
        assert awaited(searcher, "c") == TEACHER.key
        searcher.on_trial_complete(trial_id="c", result=DONE)
        assert suggested(searcher, "d") == STUDENT.key

    def test_one_that_came_after_the_result_counts_for_nothing(self, search):
        searcher = search([TEACHER, STUDENT], retries=2, recorded=lambda _: "done")
        assert suggested(searcher, "a") == TEACHER.key
        searcher.on_trial_result("a", RUNNING)
        searcher.on_trial_complete(trial_id="a", error=True)
        assert searcher.failures(TEACHER.key) == 0
        assert suggested(searcher, "b") == STUDENT.key

    def test_a_trial_that_was_told_to_go_goes_on_elsewhere_however_often(self, search):
        searcher = search([TEACHER], retries=0)
        for attempt in "abcd":
            assert awaited(searcher, attempt) == TEACHER.key
            searcher.on_trial_result(attempt, {"state": "stopped"})
            searcher.on_trial_complete(trial_id=attempt, error=True)
        assert searcher.failures(TEACHER.key) == 0
        assert awaited(searcher, "e") == TEACHER.key


class TestBusy:
    """Trials that another sweep trains now."""

    @pytest.fixture(autouse=True)
    def _short(self, monkeypatch):
        monkeypatch.setattr(tune_searcher, "BUSY_DELAY_S", BACK_OFF)

    @staticmethod
    def end_busy(searcher, trial_id):
        searcher.on_trial_result(trial_id, BUSY)
        searcher.on_trial_complete(trial_id=trial_id, result=BUSY)

    @pytest.mark.parametrize("recorded", ["waiting", "running", "failed"])
    def test_a_trial_waits_however_often_and_costs_no_retry_and_others_pass_it(self, search, given_up, recorded):
        searcher = search([TEACHER, STUDENT, OTHER], retries=0, recorded=lambda _: recorded)
        assert suggested(searcher, "a") == TEACHER.key
        self.end_busy(searcher, "a")
        assert 0.8 * BACK_OFF < searcher.retry_delay(TEACHER.key) <= BACK_OFF
        assert suggested(searcher, "other") == OTHER.key
        for attempt in "bcd":
            assert awaited(searcher, attempt) == TEACHER.key
            self.end_busy(searcher, attempt)
        assert searcher.failures(TEACHER.key) == 0
        assert awaited(searcher, "e") == TEACHER.key
        searcher.on_trial_complete(trial_id="e", result=DONE)
        assert suggested(searcher, "f") == STUDENT.key
        assert given_up == {}

    def test_the_delay_is_the_same_each_time(self, search):
        searcher = search([TEACHER], retries=0)
        for attempt in "abc":
            assert awaited(searcher, attempt) == TEACHER.key
            self.end_busy(searcher, attempt)
            assert searcher.retry_delay(TEACHER.key) <= BACK_OFF

    def test_one_that_the_other_sweep_has_completed_meanwhile_releases_its_students(self, search, given_up):
        searcher = search([TEACHER, STUDENT], recorded=lambda _: "done")
        assert suggested(searcher, "a") == TEACHER.key
        self.end_busy(searcher, "a")
        assert searcher.retry_delay(TEACHER.key) is None
        assert suggested(searcher, "b") == STUDENT.key
        searcher.on_trial_complete(trial_id="b", result=DONE)
        assert suggested(searcher, "c") == PlanSearcher.FINISHED
        assert given_up == {}

    def test_the_students_of_one_that_has_diverged_there_are_given_up(self, search, given_up):
        searcher = search([TEACHER, STUDENT], recorded=lambda _: "diverged")
        assert suggested(searcher, "a") == TEACHER.key
        self.end_busy(searcher, "a")
        assert given_up.keys() == {STUDENT.key}
        assert suggested(searcher, "b") == PlanSearcher.FINISHED

    @pytest.mark.parametrize(("recorded", "told"), [("running", []), ("done", ["done"]), ("diverged", ["diverged"])])
    def test_a_search_is_told_only_of_an_end(self, search, recorded, told):
        proposals = Proposing(planned(5))
        searcher = search([], proposals=proposals, recorded=lambda _: recorded)
        assert suggested(searcher, "a") == planned(5).key
        self.end_busy(searcher, "a")
        assert proposals.told == [(planned(5).key, state) for state in told]


def test_no_more_trials_run_at_once_than_allowed(search):
    searcher = search([TEACHER, OTHER, planned(5)], most=2)
    assert [suggested(searcher, trial_id) for trial_id in "abc"] == [TEACHER.key, OTHER.key, None]
    searcher.on_trial_complete(trial_id="b", result=DONE)
    assert suggested(searcher, "c") == planned(5).key


def test_a_sweep_that_is_to_end_hands_out_nothing_and_gives_up_nobody(search, given_up):
    shutdown = SimpleNamespace(wanted=False)
    searcher = search([TEACHER, STUDENT, OTHER], shutting_down=lambda: shutdown.wanted)
    assert suggested(searcher, "a") == TEACHER.key
    shutdown.wanted = True
    assert suggested(searcher, "b") == PlanSearcher.FINISHED
    searcher.on_trial_result("a", {"state": "stopped"})
    searcher.on_trial_complete(trial_id="a", error=True)
    assert suggested(searcher, "b") == PlanSearcher.FINISHED
    assert given_up == {}


class TestPacking:
    """`gpu: auto`: the first trial of a network is measured, and the others wait for it."""

    NETWORKS = (planned(0), planned(1), planned(2), planned(0, architecture="resnet14"))

    @staticmethod
    def shares(searcher, attempts):
        suggestions = [searcher.suggest(trial_id=attempt) for attempt in attempts]
        return [suggestion["gpu"] if suggestion else None for suggestion in suggestions]

    def test_the_first_of_each_network_has_an_accelerator_and_the_others_what_it_needed(self, search):
        searcher = search(self.NETWORKS, gpu=Packing(10 * 2**30))
        assert self.shares(searcher, "abc") == [1.0, 1.0, None]
        searcher.on_trial_result("a", RUNNING | {"peak_memory_bytes": 2 * 2**30})
        share = 1 / math.floor(10 / (1.2 * 2 + 1))
        assert self.shares(searcher, "cde") == [pytest.approx(share, abs=1e-4), pytest.approx(share, abs=1e-4), None]

    @pytest.mark.parametrize("error", [True, False])
    def test_where_the_first_ends_unmeasured_the_next_is_measured(self, search, error):
        searcher = search(self.NETWORKS[:3], gpu=Packing(10 * 2**30))
        assert self.shares(searcher, "ab") == [1.0, None]
        searcher.on_trial_complete(trial_id="a", error=error, result={"state": "diverged"})
        assert self.shares(searcher, "bc") == [1.0, None]

    def test_a_number_is_for_all(self, search):
        assert self.shares(search(self.NETWORKS, gpu=0.25), "ab") == [0.25, 0.25]


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

    def test_they_are_asked_for_when_nothing_of_the_plan_may_run(self, search):
        proposals = Proposing(planned(5), planned(6))
        searcher = search([TEACHER, STUDENT], proposals=proposals)
        assert suggested(searcher, "a") == TEACHER.key
        assert proposals.asked_knowing == []
        assert [suggested(searcher, trial_id) for trial_id in "bcd"] == [planned(5).key, planned(6).key, None]
        searcher.on_trial_complete(trial_id="a", result=DONE)
        assert suggested(searcher, "d") == STUDENT.key
        assert proposals.asked_knowing == [[], [], []]
        assert suggested(searcher, "e") is None
        assert proposals.asked_knowing[-1] == [TEACHER.key]

    def test_it_goes_on_after_a_time_without_any(self, search):
        proposals = Proposing(planned(5), None, planned(6))
        searcher = search([], proposals=proposals)
        assert [suggested(searcher, trial_id) for trial_id in "ab"] == [planned(5).key, None]
        searcher.on_trial_complete(trial_id="a", result=DONE)
        assert suggested(searcher, "b") == planned(6).key
        searcher.on_trial_complete(trial_id="b", result=DONE)
        assert suggested(searcher, "c") == PlanSearcher.FINISHED
        assert proposals.told == [(planned(5).key, "done"), (planned(6).key, "done")]

    def test_none_is_asked_for_beyond_what_may_run_at_once_or_when_the_sweep_is_to_end(self, search):
        proposals, shutdown = Proposing(planned(5), planned(6), planned(7)), SimpleNamespace(wanted=False)
        searcher = search([], proposals=proposals, most=2, shutting_down=lambda: shutdown.wanted)
        assert [suggested(searcher, trial_id) for trial_id in "abc"] == [planned(5).key, planned(6).key, None]
        assert len(proposals.asked_knowing) == 2
        shutdown.wanted = True
        searcher.on_trial_complete(trial_id="a", result=DONE)
        assert suggested(searcher, "c") == PlanSearcher.FINISHED
        assert len(proposals.asked_knowing) == 2

    @pytest.mark.parametrize(
        ("end", "told"),
        [
            ({"result": DONE}, "done"),
            ({"result": {"state": "diverged"}}, "diverged"),
            ({"result": RUNNING}, "running"),
            ({"reported": {"state": "failed"}, "error": True}, "failed"),
            ({"reported": RUNNING, "error": True}, "failed"),
            ({"reported": RUNNING, "error": True, "recorded": "done"}, "done"),
            pytest.param({"reported": {"state": "unwritable"}, "error": True}, None),
            ({"reported": {"state": "stopped"}, "error": True}, None),
            ({"result": None}, None),
        ],
        ids=str,
    )
    def test_they_are_told_of_each_end_after_which_a_trial_is_not_run_again(self, search, end, told):
        proposals = Proposing(planned(5))
        searcher = search([], proposals=proposals, recorded=lambda _: end.get("recorded", "running"))
        assert suggested(searcher, "a") == planned(5).key
        if "reported" in end:
            searcher.on_trial_result("a", end["reported"])
        searcher.on_trial_complete(trial_id="a", error=end.get("error", False), result=end.get("result"))
        assert proposals.told == ([(planned(5).key, told)] if told else [])

    def test_none_is_asked_for_while_those_asked_for_wait_to_be_measured(self, search):
        proposals = Proposing(*map(planned, range(5, 11)))
        searcher = search([], proposals=proposals, most=3, gpu=Packing(10 * 2**30))
        assert suggested(searcher, "a") == planned(5).key
        for _ in range(10):
            assert suggested(searcher, "b") is None
        assert len(proposals.asked_knowing) <= 3

    def test_one_whose_worker_died_is_told_of_after_its_last_attempt(self, search):
        proposals = Proposing(planned(5))
        searcher = search([], proposals=proposals, retries=1)
        for attempt in "ab":
            assert proposals.told == []
            assert awaited(searcher, attempt) == planned(5).key
            searcher.on_trial_result(attempt, RUNNING)
            searcher.on_trial_complete(trial_id=attempt, error=True)
        assert proposals.told == [(planned(5).key, "failed")]
