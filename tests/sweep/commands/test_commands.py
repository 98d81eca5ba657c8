import subprocess
import sys

import pytest
from exeunt.store.trial_store import Store
from exeunt.sweep.planning.plan import make_plan

from ...command_line import run_in_process

COMMANDS = [
    "demo", "sweep", "search", "submit", "plan", "status", "table", "figures", "report", "explain", "list", "describe",
    "export", "sync", "verify", "clean", "doctor", "migrate", "init", "schema",
]  # fmt: skip
HEAVY = ("torch", "ray", "mlflow", "pandas", "optuna", "pydantic")


@pytest.fixture
def storage(tmp_path):
    return tmp_path / "storage"


@pytest.fixture
def run(storage):
    """Run a command on a storage in this process."""
    return lambda *words: run_in_process(*words, "--storage", storage)


def python(*words):
    return subprocess.run([sys.executable, *words], check=False, capture_output=True, text=True, timeout=120)


def test_help_imports_nothing_heavy():
    answer = python("-X", "importtime", "-m", "exeunt.sweep", "--help")
    assert "exeunt demo" in answer.stdout
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in answer.stderr.splitlines()}
    assert "typer" in imported
    assert imported.isdisjoint(HEAVY)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    status, out, err = run_in_process(command, "--help")
    assert (status, err) == (0, "")
    assert f"Usage: exeunt {command}" in out


def test_the_script_and_the_module_are_one_program(start):
    script, module = start("--help").finish(), python("-m", "exeunt.sweep", "--help")
    assert script == (0, module.stdout, "")


@pytest.mark.parametrize("bad_file", ["a key twice", "a directory", "eed: {outputloss: kl}"], indirect=True)
@pytest.mark.parametrize("command", ["sweep", "plan", "search", "submit"])
def test_a_bad_file_is_one_message_and_status_2_and_starts_nothing(command, bad_file, run, storage):
    status, out, err = run(command, bad_file.path)
    assert (status, out) == (2, "")
    assert err.startswith(f"exeunt: {bad_file.path}{bad_file.where}")
    assert bad_file.part in err
    assert err.count("\n") == 1
    assert not storage.exists()


@pytest.mark.slow
def test_a_bad_file_ends_the_real_program_in_the_same_way(start, tmp_path):
    answer = start("sweep", tmp_path / "none.yaml", "--storage", tmp_path / "storage").finish()
    message = f"exeunt: {tmp_path / 'none.yaml'}: cannot be read: No such file or directory.\n"
    assert answer == (2, "", message)


@pytest.mark.slow
def test_more_resources_than_there_are_end_it_instead_of_waiting_for_ever(exeunt, good, tmp_path):
    file = tmp_path / "greedy.yaml"
    file.write_text(good.replace("cpu: 1", "cpu: 4096"))
    answer = exeunt("sweep", file, "--storage", tmp_path / "storage")
    assert answer.status == 2
    assert answer.err.startswith(f"exeunt: {file}:6: resources.cpu: a trial requires 4096, ")
    assert not (tmp_path / "storage" / "trials").exists()


def test_a_storage_that_is_a_file_is_refused(run, good, tmp_path, storage):
    storage.touch()
    (tmp_path / "good.yaml").write_text(good)
    status, _, err = run("plan", tmp_path / "good.yaml")
    assert status == 2
    assert err == f"exeunt: --storage {storage} is a file; give a directory.\n"
    assert "Traceback" not in err


def test_a_plan_counts_trials_and_trains_nothing(run, read, good, storage, tmp_path):
    trials = len(make_plan(read(good)).trials)
    status, out, err = run("plan", tmp_path / "sweep.yaml")
    assert (status, err) == (0, "")
    assert f"tiny: {trials} trials" in out
    assert "resnet20" in out
    assert not storage.exists()


def test_a_plan_warns_on_standard_error_in_a_line(run, good, tmp_path):
    (tmp_path / "sweep.yaml").write_text(good.replace("{base: fast, epochs: 2}", "{epochs: 100}"))
    status, out, err = run("plan", tmp_path / "sweep.yaml")
    late = "milestones 130 and 180 come after the last of 100 epochs; the learning rate does not change there"
    assert (status, err) == (0, f"warning: recipe paper: {late}.\n")
    assert "warning" not in out


def test_a_plan_says_what_is_done_and_why_something_is_not(run, read, good, ended, storage, tmp_path):
    done, failed, diverged = (trial.key for trial in make_plan(read(good)).trials[:3])
    store = Store(storage)
    store.trial(done).write_result(ended("done"))
    store.trial(failed).write_failure({"reason": "no room"})
    store.trial(diverged).write_result(ended("diverged", reason="the loss is not finite"))
    status, out, _ = run("plan", tmp_path / "sweep.yaml")
    assert status == 0
    counts = next(line for line in out.splitlines() if line.strip("│ ").startswith("all "))
    words = [word for word in counts.replace("│", " ").split() if word != "-"]
    assert words[-5:-2] == ["1", "1", "1"], "done, diverged, failed; then multiply-adds"
    assert "no room" in " ".join(out.split())
    assert "the loss is not finite" in " ".join(out.split())


@pytest.mark.parametrize("command", ["table", "status", "sync", "verify"])
def test_the_name_of_no_sweep_is_refused_with_the_nearest(command, run, read, good, storage):
    Store(storage).save_sweep(make_plan(read(good)))
    status, out, err = run(command, "tinny")
    assert (status, out) == (2, "")
    assert "no sweep 'tinny' was launched" in err
    assert "the nearest is 'tiny'" in err


def test_a_table_of_a_sweep_that_recorded_nothing_is_refused(run, read, good, storage):
    Store(storage).save_sweep(make_plan(read(good)))
    status, _, err = run("table", "tiny")
    assert status == 2
    assert err.startswith("exeunt: ")
    assert not Store(storage).database.exists()


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (
            "methods",
            [
                "baseline",
                "kd",
                "final_target",
                "eed",
                "output_loss: mse",
                "feature_weight: 1.0",
                "ensemble_weights: uniform   (uniform | beed | learned)",
            ],
        ),
        ("architectures", ["resnet8", "resnet18"]),
        ("datasets", ["digits", "folder:PATH"]),
        ("recipes", ["flip: true   (true | false)", "paper with epochs: 30", "nesterov: true"]),
        ("heads", ["conv"]),
    ],
)
def test_a_list_names_what_a_file_can_name(kind, names):
    status, out, _ = run_in_process("list", kind)
    assert status == 0
    assert [name for name in names if name not in out] == []


@pytest.mark.parametrize(
    "words", [["list", "method"], ["table", "tiny", "--format", "txt"], ["sweep"], ["swep"], ["sweep", "a", "--gpu"]]
)
def test_a_mistyped_command_is_status_2(words):
    status, _, err = run_in_process(*words)
    assert status == 2
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "words",
    [
        ("describe", "resnet8", "x" * 3000),
        ("table", "--" + "x" * 3000),
        ("x" * 9000,),
        ("status", "y" * 5000),
        ("x y " * 900,),
    ],
    ids=["argument", "option", "command", "name", "words"],
)
def test_a_message_does_not_grow_with_the_words_of_the_command_line(words, run):
    status, _, err = run(*words)
    assert status == 2
    assert len(err) < 2500
    assert len(err.splitlines()) <= 12
