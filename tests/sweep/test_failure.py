"""Stored traceback of a failed trial, as `exeunt status NAME --failure KEY` prints it."""

import pytest
from exeunt.sweep.failure import failure_command

TRACEBACK = (
    'Traceback (most recent call last):\n  File "own.py", line 3, in loss\n    1 / 0\nValueError: \x1b[31mred\r\n'
)


@pytest.fixture
def run(run_on_store):
    return run_on_store


@pytest.fixture
def failed(plan, store):
    """Trial of a stored plan that has failed with a traceback."""
    store.save_sweep(plan)
    trial = plan.trials[0]
    store.trial(trial.key).write_failure({"reason": "ValueError: red", "traceback": TRACEBACK})
    return trial


@pytest.mark.parametrize("digits", [4, 16, None])
def test_the_traceback_is_found_by_the_beginning_of_a_key_and_cannot_change_the_terminal(digits, failed, run):
    status, out, err = run("status", "tiny", "--failure", failed.key[:digits] if digits == 4 else failed.key)
    assert (status, err) == (0, "")
    assert out.startswith(f"{failed} (trial {failed.key}): failed\n")
    assert '  File "own.py", line 3, in loss\n    1 / 0\n' in out
    assert "ValueError: \\x1b[31mred" in out
    assert "\x1b" not in out


def test_status_and_plan_name_the_command(failed, run, store, good, tmp_path):
    command = failure_command("tiny", failed.key, store.location)
    assert command == f"exeunt status tiny --failure {failed.key} --storage {store.location}"
    assert f"Traceback:exeuntstatustiny--failure{failed.key}" in "".join(run("status", "tiny").out.split())
    (tmp_path / "sweep.yaml").write_text(good)
    assert "Traceback: exeunt status tiny" in " ".join(run("plan", tmp_path / "sweep.yaml").out.split())


def test_the_default_storage_is_not_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert failure_command("tiny", "ab-s0", str(tmp_path / "runs")) == "exeunt status tiny --failure ab-s0"


def test_a_failure_without_a_traceback_is_its_reason(failed, store, run):
    store.trial(failed.key).write_failure({"reason": "the worker died"})
    out = run("status", "tiny", "--failure", failed.key).out
    assert "the worker died\nNo traceback is stored" in out


@pytest.mark.parametrize(
    ("key", "part"),
    [
        ("zz", "--failure: tiny has no trial 'zz'; choose from"),
        ("", "trials have keys that begin with ''"),
    ],
)
def test_an_unknown_or_ambiguous_key_is_one_message(key, part, failed, plan, store, run):
    assert failed.key == plan.trials[0].key
    store.trial(plan.trials[1].key).write_failure({"reason": "no"})
    status, out, err = run("status", "tiny", "--failure", key)
    assert (status, out) == (2, "")
    assert part in err


def test_a_trial_that_has_not_failed_has_no_traceback(failed, plan, run):
    other = plan.trials[1]
    status, _, err = run("status", "tiny", "--failure", other.key)
    assert status == 2
    assert f"{other.key} has no failure, its state is waiting; failed trials: {failed.key}" in err
