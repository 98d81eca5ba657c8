import json
import os
import signal
import subprocess
import sys
import time

import pytest
from exeunt.store import LocalDirectory, StaleAttemptError, TrialBusyError, TrialFiles, liveness, living_attempt

HOLD = """
import sys, time
from exeunt.store import Store, liveness
liveness.HEARTBEAT_INTERVAL_S = 0.05
with Store(sys.argv[1]).attempt(sys.argv[2], driver="theirs") as files:
    files.checkpoints.write(b"theirs", epoch=1, step=0)
    print("held", flush=True)
    input()
    files.checkpoints.write(b"theirs", epoch=2, step=0)
"""


def content(files):
    return {file.name: file.read_bytes() for file in files.directory.path.iterdir() if not file.name.startswith(".")}


@pytest.fixture
def files(store, key) -> TrialFiles:
    return store.trial(key)


@pytest.fixture
def other(store, key):
    """Start another process in which another driver's worker trains the trial."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, store.location, key],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def overwrite(files, number, **changes):
    """Change the record of an attempt."""
    path = files.directory.path / f"attempt-{number:05d}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_attempts_are_numbered_and_say_whose_they_are(store, key, files):
    for number in (1, 2, 3):
        with store.attempt(key, driver="d"):
            assert living_attempt(files.directory).items() >= {"pid": os.getpid(), "driver": "d"}.items()
        assert living_attempt(files.directory) is None
        assert f"attempt-0000{number}.json" in content(files)
    assert sorted(content(files)) == [f"attempt-0000{number}.json" for number in (1, 2, 3)]


def test_an_attempt_that_was_superseded_can_change_nothing(store, key, files, spec, ended):
    with store.attempt(key, driver="d") as orphan:
        orphan.write_history([{"epoch": 1, "seconds": 1.0, "time": 1.0}])
        orphan.checkpoints.write(b"1", epoch=0, step=1)
        with store.attempt(key, driver="d") as newer:
            newer.write_history([{"epoch": epoch, "seconds": 1.0, "time": 1.0} for epoch in (1, 2)])
            newer.write_failure({"reason": "its own"})
            before = content(files)
            for change in (
                lambda: orphan.write_spec(spec),
                lambda: orphan.write_history([]),
                lambda: orphan.write_weights(b"weights"),
                lambda: orphan.write_failure({"reason": "cut off"}),
                orphan.forget_failure,
                orphan.set_result_aside,
                orphan.start_over,
                lambda: orphan.write_pruned({"rule": "r"}, epoch=1, epochs=2),
                lambda: orphan.checkpoints.write(b"9", epoch=9, step=9),
                orphan.checkpoints.clear,
                lambda: orphan.write_result(ended("done")),
            ):
                with pytest.raises(StaleAttemptError, match="attempt 1 was replaced by attempt 2"):
                    change()
                assert content(files) == before
            assert newer.checkpoints.latest() == b"1"
            newer.write_result(ended("done"))
        assert store.progress(key).state == "done"
        after = content(files)
    assert content(files) == after, "the end of the orphan's context changes nothing"


def test_a_new_attempt_forgets_why_the_one_before_failed(store, key):
    with store.attempt(key, driver="d") as files:
        files.write_failure({"reason": "something"})
    assert store.progress(key).reason == "something"
    with store.attempt(key, driver="d"):
        assert store.progress(key).state == "waiting"


def test_while_another_driver_trains_a_trial_it_is_busy(store, key, files, other):
    before = content(files)
    with pytest.raises(TrialBusyError, match=rf"process {other.pid} on \S+ trains it for another sweep"):
        store.attempt(key, driver="ours").__enter__()
    after = content(files)
    assert after.keys() == before.keys(), "the refused attempt leaves nothing"
    other.communicate("\n")
    assert other.returncode == 0, "and disturbs nothing"
    assert files.checkpoints.latest() == b"theirs"


@pytest.mark.parametrize("end", ["it ended", "it failed", "it was killed"])
def test_a_trial_that_another_driver_trains_no_more_is_taken_over(store, key, files, other, end):
    match end:
        case "it ended":
            other.communicate("\n")
        case "it failed":
            other.communicate("")  # input() raises EOFError
            assert other.returncode == 1
        case "it was killed":
            other.kill()  # it remains a zombie
            deadline = time.monotonic() + 10
            while living_attempt(files.directory):
                assert time.monotonic() < deadline
    with store.attempt(key, driver="ours") as ours:
        assert ours.checkpoints.latest() == b"theirs", "it resumes from there"
        assert living_attempt(files.directory)["driver"] == "ours"


@pytest.mark.slow
def test_a_process_that_hangs_is_replaced_and_can_write_nothing_when_it_is_back(store, key, files, other, monkeypatch):
    monkeypatch.setattr(liveness, "STALE_AFTER_S", 2.0)
    time.sleep(2.5)
    with pytest.raises(TrialBusyError):  # since its heartbeat continues
        store.attempt(key, driver="ours").__enter__()
    other.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + 20
    while living_attempt(files.directory):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with store.attempt(key, driver="ours") as ours:
        other.send_signal(signal.SIGCONT)
        _, problem = other.communicate("\n", timeout=60)
        assert "StaleAttemptError: attempt 1 was replaced by attempt 2" in problem
        assert ours.checkpoints.latest() == b"theirs"
        assert len([*files.directory.path.glob("checkpoint-00002-*")]) == 0


def test_an_attempt_without_a_heartbeat_holds_nothing(store, key, files, monkeypatch):
    with store.attempt(key, driver="theirs"):
        with pytest.raises(TrialBusyError):
            store.attempt(key, driver="ours").__enter__()
        now = time.time()
        monkeypatch.setattr(liveness.time, "time", lambda: now + liveness.STALE_AFTER_S + 1)
        with store.attempt(key, driver="ours"):
            assert living_attempt(files.directory)["driver"] == "ours"


@pytest.mark.parametrize(("age", "busy"), [(30.0, True), (300.0, False)])
def test_an_attempt_on_another_machine_is_known_by_its_heartbeat(store, key, files, monkeypatch, age, busy):
    monkeypatch.setattr(liveness, "HEARTBEAT_INTERVAL_S", 0.1)
    with store.attempt(key, driver="theirs"):
        pass
    overwrite(files, 1, ended=False, host="elsewhere", seen=time.time() - age)
    if busy:
        with pytest.raises(TrialBusyError, match="on elsewhere"):
            store.attempt(key, driver="ours").__enter__()
    else:
        with store.attempt(key, driver="ours"):
            pass


def test_a_driver_does_not_wait_for_its_own_attempt_on_a_machine_that_failed(store, key, files, monkeypatch):
    with store.attempt(key, driver="d"):
        pass
    overwrite(files, 1, ended=False, host="elsewhere", seen=time.time() - 300)
    monkeypatch.setattr(liveness.time, "sleep", lambda _: pytest.fail("it waits"))
    with store.attempt(key, driver="d"):
        pass


def test_an_attempt_of_the_first_release_blocks_nothing_and_is_fenced_off(store, key, files):
    whose = {"host": "here", "pid": os.getppid(), "began": time.time()}
    files.directory.write("attempt-00001.json", json.dumps(whose).encode())
    assert living_attempt(files.directory) is None
    with store.attempt(key, driver="d"):
        assert sorted(content(files)) == ["attempt-00001.json", "attempt-00002.json"]


@pytest.mark.parametrize("moment", ["before the claim", "after the claim, in an object store"])
def test_of_two_attempts_that_begin_at_once_one_is_busy(store, key, files, monkeypatch, moment):
    with store.attempt(key, driver="theirs"):
        theirs = files.directory.read("attempt-00001.json")
    files.directory.remove("attempt-00001.json")
    write, guarded = LocalDirectory.write, LocalDirectory.guarded

    def guarded_after_the_other(place, guard):
        write(files.directory, "attempt-00001.json", theirs)
        return guarded(place, guard)

    def write_before_the_other(place, name, content):
        write(place, name, content)
        write(files.directory, "attempt-00001.json", theirs)

    if moment == "before the claim":
        monkeypatch.setattr(LocalDirectory, "guarded", guarded_after_the_other)
    else:
        monkeypatch.setattr(LocalDirectory, "write", write_before_the_other)
    with pytest.raises(TrialBusyError):
        store.attempt(key, driver="ours").__enter__()
    assert content(files) == {"attempt-00001.json": theirs}


CONTEST = """
import os, random, sys, time
from pathlib import Path
from exeunt.store import Store, TrialBusyError
store, keys = Store(sys.argv[1]), [f"k-s{number}" for number in range(12)]
random.seed(sys.argv[2])
trained = 0
while open_keys := [key for key in keys if store.progress(key).state != "done"]:
    key = random.choice(open_keys)
    try:
        with store.attempt(key, driver=sys.argv[2]) as files:
            if files.result() is None:
                mark = os.open(files.directory.path / "inside", os.O_CREAT | os.O_EXCL)  # fails unless alone
                time.sleep(0.002)
                files.write_result({"state": "done", "seconds": 1.0, "metrics": {}, "environment": {}})
                trained += 1
                os.close(mark)
                (files.directory.path / "inside").unlink()
    except TrialBusyError:
        pass
print(trained)
"""


@pytest.mark.slow
def test_sweeps_that_share_trials_train_each_of_them_once(store):
    sweeps = [
        subprocess.Popen(
            [sys.executable, "-c", CONTEST, store.location, name],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name in ("a", "b", "c")
    ]  # fmt: skip
    ends = [sweep.communicate(timeout=120) for sweep in sweeps]
    assert [problem for _, problem in ends] == ["", "", ""]
    assert sum(int(trained) for trained, _ in ends) == 12
