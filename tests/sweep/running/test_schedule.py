import pytest
from exeunt.losses import KD, Baseline
from exeunt.models import ArchitectureSpec
from exeunt.sweep.planning.plan import PlannedTrial
from exeunt.sweep.running.schedule import PlanSearcher
from exeunt.training import DatasetSpec, TrialSpec

DONE = {"state": "done"}


def planned(seed, teacher=None):
    spec = TrialSpec(
        dataset=DatasetSpec(name="digits"),
        architecture=ArchitectureSpec(name="resnet8"),
        method=KD() if teacher else Baseline(),
        seed=seed,
        teacher=teacher and teacher.spec,
    )
    return PlannedTrial(spec=spec, key=spec.key, role="result", order=seed)


TEACHER, OTHER = planned(0), planned(1)
STUDENT, PUPIL = planned(2, TEACHER), planned(3, TEACHER)


def suggested(searcher, trial_id):
    suggestion = searcher.suggest(trial_id=trial_id)
    return suggestion["key"] if isinstance(suggestion, dict) else suggestion


def test_trials_are_handed_out_in_the_order_of_the_plan_as_specs_that_can_be_read_back():
    searcher = PlanSearcher([OTHER, TEACHER], done=[])
    suggestion = searcher.suggest(trial_id="a")
    assert TrialSpec.from_dict(suggestion["spec"]).key == suggestion["key"] == OTHER.key
    assert [suggested(searcher, "b"), suggested(searcher, "c")] == [TEACHER.key, PlanSearcher.FINISHED]


def test_a_student_waits_for_its_teacher_and_others_pass_it():
    searcher = PlanSearcher([TEACHER, STUDENT, PUPIL, OTHER], done=[])
    assert [suggested(searcher, trial_id) for trial_id in "abc"] == [TEACHER.key, OTHER.key, None]
    searcher.on_trial_complete(trial_id="b", result=DONE)
    assert suggested(searcher, "c") is None
    searcher.on_trial_complete(trial_id="a", result=DONE)
    assert [suggested(searcher, trial_id) for trial_id in "cde"] == [STUDENT.key, PUPIL.key, PlanSearcher.FINISHED]
    assert searcher.given_up == {}


@pytest.mark.parametrize(
    "end",
    [
        {"error": True},
        {"error": True, "result": DONE},
        {"error": True, "result": {"state": "running"}},
        {"result": {"state": "diverged"}},
        {"result": None},
    ],
    ids=str,
)
def test_the_students_of_a_teacher_that_did_not_end_well_are_given_up_with_the_reason(end):
    searcher = PlanSearcher([TEACHER, STUDENT, PUPIL, OTHER], done=[])
    assert suggested(searcher, "a") == TEACHER.key
    searcher.on_trial_complete(trial_id="a", **end)
    assert [suggested(searcher, "b"), suggested(searcher, "c")] == [OTHER.key, PlanSearcher.FINISHED]
    assert searcher.given_up.keys() == {STUDENT.key, PUPIL.key}
    assert all(TEACHER.key in reason for reason in searcher.given_up.values())


def test_the_students_of_a_teacher_done_before_start_at_once():
    searcher = PlanSearcher([STUDENT, PUPIL], done=[TEACHER.key])
    assert [suggested(searcher, trial_id) for trial_id in "abc"] == [STUDENT.key, PUPIL.key, PlanSearcher.FINISHED]


def test_the_students_of_a_teacher_that_nobody_trains_are_given_up():
    searcher = PlanSearcher([STUDENT], done=[])
    assert suggested(searcher, "a") == PlanSearcher.FINISHED
    assert searcher.given_up.keys() == {STUDENT.key}


def test_a_student_of_a_student_is_given_up_with_it():
    searcher = PlanSearcher([STUDENT, planned(4, STUDENT)], done=[])
    assert suggested(searcher, "a") == PlanSearcher.FINISHED
    assert len(searcher.given_up) == 2
