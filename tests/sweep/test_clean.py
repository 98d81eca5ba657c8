import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from exeunt.store.lease import hold_lease
from exeunt.sweep.clean import find_removable
from exeunt.sweep.planning.plan import make_plan

HOUR = 3600.0
DEAD = 4_000_000
"""PID above any that Linux assigns in practice (`/proc/sys/kernel/pid_max` is at most 2**22 = 4,194,304)."""


@pytest.fixture
def run(run_on_store):
    return run_on_store


def age(path, seconds):
    """Set the modification time of a file, or of all files in a directory, `seconds` back."""
    for file in (path, *path.rglob("*")):
        os.utime(file, (time.time() - seconds,) * 2)


@pytest.fixture
def folder(store):
    """Return a function that returns the directory of a trial."""
    return lambda key: Path(store.location) / "trials" / key


@pytest.fixture
def fewer(read, good):
    """Return the plan without its last method."""
    return make_plan(read("".join(good.splitlines(keepends=True)[:-1])))


@pytest.fixture
def orphan(plan, fewer, store, trained, folder):
    """Return the key of a completed trial that no sweep plans; a planned trial is in the store too."""
    store.save_sweep(fewer)
    kept = {trial.key for trial in fewer.trials}
    lost = next(trial for trial in plan.trials if trial.key not in kept)
    for trial in (fewer.trials[0], lost):
        trained(trial)
        age(folder(trial.key), HOUR)
    return lost.key


def found(store, *plans):
    root = Path(store.location)
    return sorted((one.kind, str(Path(str(one)).relative_to(root))) for one in find_removable(store, plans))


def test_an_orphan_is_removed_and_nothing_else(orphan, fewer, store, folder, run):
    assert found(store, fewer) == [("orphan", f"trials/{orphan}")]
    assert run("clean", "--yes")[0] == 0
    assert not folder(orphan).exists()
    assert store.keys() == [fewer.trials[0].key]
    assert store.progress(fewer.trials[0].key).state == "done"
    assert run("clean", "--yes") == (0, f"nothing to remove in {store.location}\n", "")


def test_an_orphan_that_was_written_to_lately_is_left(orphan, fewer, store):
    store.trial(orphan).write_history([])
    assert found(store, fewer) == []


def test_a_trial_whose_weights_teach_is_no_orphan(plan, store, trained, folder, read, good):
    teacher = next(trial for trial in plan.trials if trial.role == "teacher")
    trained(teacher, weights=True)
    age(folder(teacher.key), HOUR)
    without = make_plan(read(good.replace(", resnet20]", "]")))
    assert found(store, without) == [("orphan", f"trials/{teacher.key}")]
    from_file = good.replace("resnet20]", f"resnet20@{folder(teacher.key) / 'weights.pt'}]")
    assert found(store, make_plan(read(from_file))) == []


def test_checkpoints_go_once_the_trial_has_its_result(plan, store, trained):
    done, begun, failed = plan.trials[:3]
    trained(done)
    for trial in (done, begun, failed):
        for name in ("checkpoint-00001-0000000-0123456789abcdef.pt", "damaged-checkpoint-00001.pt"):
            store.trial(trial.key).directory.write(name, bytes(2**20))
    store.trial(failed.key).write_failure({"reason": "no room"})
    age(Path(store.location), HOUR)
    assert [(kind, Path(path).parent.name) for kind, path in found(store, plan)] == [
        ("checkpoint", done.key),
        *sorted(("damaged file", trial.key) for trial in (done, begun, failed)),
    ]
    store.trial(failed.key).write_history([])  # it is training again
    assert failed.key not in str(found(store, plan))
    with hold_lease(store.sweep_directory("tiny"), "tiny"):
        assert found(store, plan) == []


@pytest.mark.parametrize(
    ("pid", "hours", "goes"),
    [(DEAD, 25, True), (DEAD, 23, False), (os.getpid(), 25, False), (10**30, 25, True)],
    ids=["dead for a day", "dead for less", "alive", "not a PID"],
)
def test_temporary_files_go_when_their_process_has_been_dead_for_a_day(pid, hours, goes, plan, store, trained, folder):
    trained(plan.trials[0])
    workshop = Path(store.location) / f".mlflow.db.{pid}"
    workshop.mkdir()
    files = [workshop / "mlflow.db", folder(plan.trials[0].key) / f".result.json.{pid}", Path(store.location) / ".rc"]
    for file in files:
        file.touch()
    age(Path(store.location), hours * HOUR)
    assert [kind for kind, _ in found(store, plan)] == ["temporary file"] * (2 * goes)
    for one in find_removable(store, [plan]):
        one.remove()
    assert [file.exists() for file in files] == [not goes, not goes, True]


def test_a_dry_run_says_how_much_and_removes_nothing(orphan, folder, run):
    (folder(orphan) / "weights.pt").write_bytes(bytes(3 * 2**20))
    age(folder(orphan), HOUR)
    status, out, err = run("clean", "--dry-run")
    assert (status, err) == (0, "")
    assert " 3.0 " in out
    assert orphan in "".join(out.replace("│", "").split())
    assert folder(orphan).exists()


def test_without_a_terminal_it_asks_nobody_and_removes_nothing(orphan, folder, run, monkeypatch, tmp_path):
    (tmp_path / "empty").touch()
    with (tmp_path / "empty").open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        status, _, err = run("clean")
    assert status == 2
    assert "add --yes" in err
    assert folder(orphan).exists()


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["n", "y"])
def test_at_a_terminal_it_asks(answer, orphan, store, folder):
    ours, theirs = pty.openpty()
    command = [Path(sys.executable).with_name("exeunt"), "clean", "--storage", store.location]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, text=True) as process:
        os.write(ours, f"{answer}\n".encode())
        out, _ = process.communicate(timeout=120)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0
    assert "Remove 1 item, 0.0 MiB?" in out
    assert folder(orphan).exists() == (answer == "n")


def test_where_a_sweep_cannot_be_planned_orphans_cannot_be_told(orphan, store, folder, run):
    store.sweep_directory("gone").write("sweep.yaml", b"name: gone\n")
    status, _, err = run("clean", "--yes")
    assert status == 2
    assert "'gone'" in err
    assert folder(orphan).exists()


def test_a_part_of_a_removed_trial_does_not_look_like_a_trial(orphan, fewer, store, folder, monkeypatch):
    (removable,) = find_removable(store, [fewer])

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(removable.directory), "remove_all", interrupted)
    with pytest.raises(KeyboardInterrupt):
        removable.remove()
    assert json.loads((folder(orphan) / "spec.json").read_text())
    assert not (folder(orphan) / "result.json").exists()
