import json
import subprocess
import sys
from pathlib import Path

import pytest
from exeunt.store import Plugin, digest, keep_plugins
from exeunt.sweep.planning.plan import missing
from exeunt.sweep.tracking.writer import Mirror
from exeunt.sweep.verify import trial_problems
from mlflow import MlflowClient

RESULT, SPEC, WEIGHTS, HISTORY = "result.json", "spec.json", "weights.pt", "history.jsonl"


@pytest.fixture
def run(run_on_store):
    return run_on_store


@pytest.fixture
def one(plan, store, trained):
    """Return the key and the directory of a completed trial."""
    trained(plan.trials[0], epochs=plan.trials[0].configuration.epochs, weights=True)
    return plan.trials[0].key, store.trial(plan.trials[0].key).directory


@pytest.fixture
def problems(store, one):
    """Return a function that lists the problems of that trial."""
    return lambda: [problem.what for problem in trial_problems(store, one[0])]


def change(folder, name, **values):
    folder.write(name, json.dumps(json.loads(folder.read(name)) | values).encode())


def test_a_trial_as_it_was_written_has_no_problem(problems):
    assert problems() == []


@pytest.mark.parametrize("name", [RESULT, SPEC, WEIGHTS, HISTORY])
@pytest.mark.parametrize("keep", [0, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_named(name, keep, one, problems):
    content = one[1].read(name)
    one[1].write(name, content[: int(len(content) * keep)])
    assert len(problems()) == 1
    assert name in problems()[0]


@pytest.mark.parametrize("name", [SPEC, WEIGHTS, HISTORY])
def test_a_file_that_is_missing_is_named(name, one, problems):
    one[1].remove(name)
    assert len(problems()) == 1
    assert name in problems()[0]


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"\xff\xfe", b"{}", b'{"state": "done"}', b"1" * 6000])
def test_any_bytes_in_any_file_are_a_problem_and_no_crash(content, one, problems):
    for name in (RESULT, HISTORY, SPEC):
        kept = one[1].read(name)
        one[1].write(name, content)
        assert problems() != []
        one[1].write(name, kept)
    assert problems() == []


def test_a_changed_setting_is_another_trial(one, problems):
    change(one[1], SPEC, seed=7)
    assert len(problems()) == 1
    assert "spec.json is damaged (it belongs to trial " in problems()[0]


def test_a_changed_number_is_not_what_history_has(one, problems):
    metrics = json.loads(one[1].read(RESULT))["metrics"]
    change(one[1], RESULT, metrics=metrics | {"test/final/top1": 99.0})
    assert problems() == ["result.json and history.jsonl differ in test/final/top1"]


def test_epochs_that_are_missing_are_counted(one, problems):
    one[1].write(HISTORY, one[1].read(HISTORY).splitlines(keepends=True)[-1])
    assert problems() == ["history.jsonl has 1 of 2 epochs"]


def test_a_flipped_bit_of_the_weights_is_seen(one, problems):
    content = bytearray(one[1].read(WEIGHTS))
    content[len(content) // 2] ^= 1
    one[1].write(WEIGHTS, bytes(content))
    assert problems() == ["weights.pt does not match result.json: the digests differ"]


def test_a_result_without_a_digest_vouches_for_no_weights_but_needs_them(one, problems):
    result = json.loads(one[1].read(RESULT))
    del result["weights"]
    one[1].write(RESULT, json.dumps(result).encode())
    assert problems() == []
    one[1].remove(WEIGHTS)
    assert problems() == ["weights.pt is missing"]


class TestTeachers:
    """A teacher and its student, both completed."""

    @pytest.fixture
    def student(self, plan):
        return next(trial for trial in plan.trials if trial.depends_on)

    @pytest.fixture
    def teacher(self, plan, student, trained):
        (teacher,) = (trial for trial in plan.trials if trial.key in student.depends_on)
        trained(teacher, weights=True)
        return teacher

    @pytest.fixture
    def problems(self, store, teacher, student):
        """Return a function that lists the problems of both, as the trial, the problem and the remedy."""
        return lambda: [
            (trial, problem.what, problem.remedy)
            for trial in (teacher, student)
            for problem in trial_problems(store, trial.key)
        ]

    @pytest.fixture
    def taught(self, store, teacher, student, trained):
        """Return a function that trains the student with the weights that its teacher has now."""
        return lambda: trained(student, weights=True, teacher=digest(store.trial(teacher.key).weights()))

    def swap(self, store, teacher):
        store.trial(teacher.key).write_weights(b"weights of another seed")

    def test_a_student_of_its_teachers_weights_has_no_problem(self, problems, taught):
        taught()
        assert problems() == []

    def test_a_student_of_swapped_weights_is_a_problem_even_after_its_teacher_is_restored(
        self, store, teacher, student, problems, taught, trained
    ):
        self.swap(store, teacher)
        taught()
        of_teacher, of_student = problems()
        assert of_teacher[:2] == (teacher, "weights.pt does not match result.json: the digests differ")
        trained(teacher, weights=True)  # the remedy
        assert problems() == [of_student]
        trial, what, remedy = of_student
        assert trial is student
        assert what == f"the trial learned from other weights than its teacher, trial {teacher.key}, has now"
        assert remedy.startswith(f"remove {store.trial(student.key).directory.located(RESULT)} and run the sweep again")
        taught()
        assert problems() == []

    def test_a_teacher_that_was_trained_anew_to_other_weights_names_its_students(
        self, store, teacher, student, problems, taught
    ):
        taught()
        self.swap(store, teacher)
        files = store.trial(teacher.key)
        change(files.directory, RESULT, weights=digest(files.weights()))
        assert [trial for trial, *_ in problems()] == [student]

    @pytest.mark.parametrize("content", [None, b"{}"])
    def test_a_teacher_without_a_sound_result_is_no_problem_of_its_student(
        self, content, store, teacher, student, problems, taught
    ):
        taught()
        directory = store.trial(teacher.key).directory
        directory.remove(RESULT) if content is None else directory.write(RESULT, content)
        assert student not in [trial for trial, *_ in problems()]

    def test_a_student_that_does_not_record_its_teacher_has_no_problem(self, student, problems, trained):
        trained(student, weights=True)
        assert problems() == []


def test_verify_runs_no_plugin_and_imports_no_torch(plan, store, one):
    store.save_sweep(plan)
    for directory in (one[1], store.sweep_directory("tiny")):
        keep_plugins(directory, [Plugin(name="own.py", source="raise SystemExit('a plugin was run')")])
    script = (
        "import sys\n"
        "from exeunt.store import Store\n"
        "from exeunt.sweep.verify import trial_problems\n"
        "store = Store(sys.argv[1])\n"
        "assert [trial.key for trial in store.plan('tiny').trials]\n"
        "assert not [*trial_problems(store, sys.argv[2])]\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script, store.location, one[0]], check=True, timeout=60)


@pytest.mark.usefixtures("one")
def test_verify_says_all_is_well_or_what_is_not(plan, store, trained, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    store.save_sweep(plan)
    mirror = Mirror(plan, store, store.tracking_uri)
    mirror.update_all()
    mirror.update_groups()
    assert run("verify")[0] == 0
    status, out, _ = run("verify", "tiny")
    assert status == 0
    assert out == f"Checked 1 trial in {store.location} and MLflow: no problems\n"
    client = MlflowClient(store.tracking_uri)
    (experiment,) = (found for found in client.search_experiments() if found.name == "tiny")
    (record,) = client.search_runs([experiment.experiment_id], "tags.`exeunt.state` = 'done'")
    client.log_metric(record.info.run_id, "test/final/top1", 12.0, step=99)
    trained(plan.trials[1], epochs=2, weights=True)
    status, out, _ = run("verify")
    assert status == 1
    assert "the run and the result differ in test/final/top1" in out
    assert "the run is missing" in out
    assert "2 problems" in out
    assert run("sync", "tiny")[0] == 0
    assert run("verify")[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"{}", b"[]", b"null", b'{"state": "done"}'])
def test_what_is_no_result_is_damaged_for_every_command_and_trained_again(
    content, plan, store, trained, run, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "400")
    for trial in plan.trials[:2]:
        trained(trial)
    store.save_sweep(plan)
    assert run("sync", "tiny")[0] == 0
    damaged = plan.trials[0]
    store.trial(damaged.key).directory.write(RESULT, content)
    assert "is damaged" in run("status", "tiny")[1]
    assert run("sync", "tiny")[0] == 0
    status, out, _ = run("verify", "tiny")
    assert status == 1
    assert "is damaged" in out
    assert run("table", "tiny")[0] == 0
    assert damaged in missing(plan, store)


@pytest.mark.usefixtures("one")
@pytest.mark.parametrize("content", [b"{}", b"", b"\xff", b'{"name": "gone"'])
def test_a_damaged_plan_is_a_problem(content, plan, store, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    store.save_sweep(plan)
    store.sweep_directory("tiny").write("plan.json", content)
    status, out, _ = run("verify")
    assert status == 1
    assert "plan.json is damaged" in out
    assert "Run the sweep again; it writes the file anew." in out


@pytest.mark.usefixtures("one")
def test_a_sweep_of_an_older_release_is_converted_first(store, run):
    store.sweep_directory("old").write("sweep.yaml", b"name: old\n")
    status, out, err = run("verify", "old")
    assert (status, out) == (2, "")
    assert "'old'" in err
    assert f"exeunt migrate --storage {store.location}" in err
    status, out, err = run("verify")
    assert (status, err) == (1, "")
    assert "exeunt migrate" in " ".join(out.split())


@pytest.mark.slow
def test_following_what_verify_says_rids_a_sweep_of_what_swapped_weights_taught(exeunt, tmp_path, store):
    file = tmp_path / "swapped.yaml"
    file.write_text(
        "name: swapped\ndataset: digits\narchitectures: [resnet8]\nseeds: [0, 1]\n"
        "recipe: {base: fast, epochs: 1}\nmethods: {baseline: {}, kd: {teacher: self}}\n"
    )
    there = "--storage", store.location
    assert exeunt("sweep", file, *there).status == 0
    trials = store.plan("swapped").trials
    first, second = (trial.key for trial in trials if trial.configuration.method == "baseline")
    students = {trial.key for trial in trials if trial.depends_on == (first,)}
    store.trial(first).write_weights(store.trial(second).weights())
    for student in students:
        store.trial(student).directory.remove(RESULT)
    assert exeunt("sweep", file, *there).status == 1, "a student learned from weights that its teacher never had"
    assert exeunt("verify", *there).status == 1
    (problem,) = (problem for trial in trials for problem in trial_problems(store, trial.key))
    assert problem.subject == first
    Path(problem.remedy.removeprefix("remove ").partition(" and ")[0]).unlink()
    assert exeunt("sweep", file, *there).status == 0
    assert exeunt("verify", *there).status == 0
    for student in students:
        assert store.trial(student).result()["teacher"] == store.trial(first).result()["weights"]


def test_files_are_checked_where_mlflow_cannot_be_reached(plan, store, one, run):
    store.save_sweep(plan)
    status, out, _ = run("verify", "--tracking", "http://127.0.0.1:9")
    assert status == 0
    assert "but not MLflow" in out
    assert "Connection refused" in out
    one[1].remove(WEIGHTS)
    assert run("verify", "--tracking", "http://127.0.0.1:9")[0] == 1
