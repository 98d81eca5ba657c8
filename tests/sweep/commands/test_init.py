"""The sweep file that `exeunt init` writes: it plans as written, and its comments are those of its dataset."""

import shlex

import pytest
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.sweep_file import read_sweep

from ...command_line import run_in_process
from ...pictures import write_folder


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("dataset", [None, "digits", "cifar100", "mnist@20%", "tiny_imagenet"])
def test_a_file_for_a_dataset_plans_as_written(dataset, folder):
    status, out, err = run_in_process("init", *([] if dataset is None else ["--dataset", dataset]))
    assert (status, out, err) == (0, "Written: sweep.yaml. Next: exeunt plan sweep.yaml\n", "")
    text = (folder / "sweep.yaml").read_text()
    assert 25 <= text.count("\n") <= 40
    assert max(map(len, text.splitlines())) <= 120
    sweep = read_sweep(folder / "sweep.yaml")
    assert {trial.dataset.name for trial in sweep.trials} == {dataset or "digits@10%"}
    assert len(make_plan(sweep).trials) == 3 * 4 + 1
    assert sweep.warnings == ()


def test_a_printed_command_works_for_any_path(folder):
    (folder / "my sweeps").mkdir()
    answer = run_in_process("init", "my sweeps/a.yaml")
    words = shlex.split(answer.out.rpartition("Next: ")[2])
    assert words == ["exeunt", "plan", "my sweeps/a.yaml"]
    assert run_in_process(*words[1:], "--storage", folder / "runs").status == 0


def test_a_folder_is_named_relative_to_the_file(folder):
    write_folder(folder / "my: flowers", count=4, side=12, suffix="png")
    (folder / "sweeps").mkdir()
    assert run_in_process("init", "sweeps/a.yaml", "--dataset", "folder:my: flowers").status == 0
    text = (folder / "sweeps" / "a.yaml").read_text()
    assert 'dataset: {path: "../my: flowers"}' in text


def test_a_file_that_exists_is_not_changed(folder):
    (folder / "sweep.yaml").write_text("mine")
    message = "exeunt: sweep.yaml exists and is not overwritten; name another file: exeunt init FILE\n"
    assert run_in_process("init") == (2, "", message)
    assert (folder / "sweep.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "cifar-100"], "unknown dataset 'cifar-100'; the nearest is 'cifar100'"),
        (["--dataset", "folder:none"], "none"),
        (["none/a.yaml"], "none/a.yaml: its directory does not exist"),
    ],
)
def test_a_mistake_is_one_message_and_writes_nothing(words, message, folder):
    status, out, err = run_in_process("init", *words)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert list(folder.iterdir()) == []
