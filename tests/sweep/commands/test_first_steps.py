"""First training steps before a sweep, through the command line."""

import json

import pytest

from ..planning.mistakes import METHOD, OF_METHODS, loss

SWEEP = """\
name: mine
dataset: digits
architectures: [resnet8]
seeds: [0]
recipe: {base: fast, epochs: 1, batch_size: 512, crop: none, flip: false}
methods:
  baseline: {}
  own: {strength: [1, 2]}
"""


@pytest.fixture
def files(tmp_path):
    """Arguments with a sweep file, a plugin whose loss is wrong, and a storage."""
    (tmp_path / "own.py").write_text(METHOD + OF_METHODS["label"].code)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    return tmp_path / "sweep.yaml", "--plugin", tmp_path / "own.py", "--storage", tmp_path / "runs"


def test_a_plan_tries_each_pair_only_on_request(run, files):
    assert run("plan", *files).status == 0
    status, out, err = run("plan", *files, "--try")
    assert (status, out) == (2, "")
    assert err.startswith("exeunt: own.py:24: the loss of method 'own' raised AttributeError")
    assert err.count("\n") == 1


def test_the_traceback_is_printed_on_request(run, files, monkeypatch):
    monkeypatch.setenv("EXEUNT_TRACEBACK", "1")
    status, _, err = run("plan", *files, "--try")
    assert status == 2
    assert '  File "own.py", line 24, in loss\n' in err
    assert err.splitlines()[-1].startswith("exeunt: own.py:24: ")
    assert "EXEUNT_TRACEBACK" not in err


def test_a_mistake_that_planning_meets_has_a_traceback_too(run, files, tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(METHOD + OF_METHODS["settings that raise"].code)
    err = run("plan", *files).err
    assert err.endswith(" For its traceback, set EXEUNT_TRACEBACK=1.\n")
    assert f"{files[0]}:8: methods.own: own.py:24: the settings of method 'own' raised" in err
    monkeypatch.setenv("EXEUNT_TRACEBACK", "1")
    assert "in __post_init__" in run("plan", *files).err


def test_a_plan_counts_the_pairs_that_it_has_tried(run, files, tmp_path):
    (tmp_path / "own.py").write_text(METHOD + loss("return {'own': cross_entropy_sum(inputs.logits, inputs.labels)}"))
    status, out, err = run("plan", *files, "--try", "--json")
    assert (status, err) == (0, "First training steps: 2 pairs of network and method, no error.\n")
    assert json.loads(out)["trials"] == 3


@pytest.mark.slow
def test_a_sweep_ends_before_its_first_trial_with_one_message(exeunt, files, tmp_path):
    status, out, err = exeunt("sweep", *files)
    assert status == 2
    assert err.startswith("exeunt: own.py:24: the loss of method 'own' raised AttributeError")
    assert err.count("\n") == 1
    assert "start " not in out
    assert not list(tmp_path.glob("runs/trials/*"))


@pytest.mark.slow
def test_without_the_try_a_trial_fails_and_the_command_for_its_traceback_is_named(exeunt, files, run):
    status, out, _ = exeunt("sweep", *files, "--no-try")
    assert status == 1
    assert "FAILED own strength=1" in out
    command = next(line for line in out.splitlines() if line.startswith("Traceback: "))
    words = command.split()[2:]
    status, out, err = run(*words)
    assert (status, err) == (0, "")
    assert '  File "own.py", line 24, in loss\n' in out
    assert "AttributeError: 'LossInputs' object has no attribute 'label'" in out


@pytest.mark.slow
def test_a_loss_that_exits_is_a_failed_trial_and_not_an_error_of_ray(exeunt, files, tmp_path):
    (tmp_path / "own.py").write_text(METHOD + OF_METHODS["sys.exit"].code)
    status, out, err = exeunt("sweep", *files, "--no-try")
    assert (status, err) == (1, "")
    assert "the loss of method 'own' called sys.exit(0). Raise an exception instead of ending the process" in out
