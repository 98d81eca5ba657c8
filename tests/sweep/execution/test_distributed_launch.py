"""Trials in several processes, called directly and through the command line and Ray."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from exeunt.losses import KD, Baseline
from exeunt.models import ArchitectureSpec
from exeunt.specs import SpecError
from exeunt.store import TrialFiles
from exeunt.sweep.execution import distributed_launch
from exeunt.sweep.execution.distributed_launch import ProcessDiedError
from exeunt.training import Recipe, TrainingInterrupted
from exeunt.training.plugins import Plugin, use

from ...command_line import meanwhile, wait_until, workers_of
from .together import trained, trial

pytestmark = pytest.mark.slow

FILE = """\
name: tiny
dataset: digits
architectures: [resnet8]
seeds: [0]
recipe: {base: fast, epochs: 30, batch_size: 512}
resources: {processes: 2}
methods:
  baseline: {}
"""
PLUGIN = """\
from exeunt.models import architectures

architectures.register("own8")(architectures["resnet8"])
"""
PATIENCE = 60.0


def children():
    """Return the PIDs of this process's children that train."""
    pids = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in pids if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]


def test_an_epoch_is_told_and_asked_to_stop_all_leave_with_a_checkpoint(tmp_path):
    told, before = [], children()
    with pytest.raises(TrainingInterrupted, match="stopped in epoch"):
        trained(trial(), tmp_path, on_epoch=lambda record: told.append(record["epoch"]), stop=lambda: len(told) > 1)
    assert told[:2] == [1, 2]
    assert list(tmp_path.glob("checkpoint-*"))
    assert children() == before


def test_each_process_knows_what_a_plugin_brings(tmp_path):
    use([Plugin(name="own.py", source=PLUGIN)])
    try:
        spec = replace(trial(), architecture=ArchitectureSpec(name="own8"), recipe=Recipe(epochs=1, batch_size=512))
        result = trained(spec, tmp_path)
    finally:
        use()
    assert result["state"] == "done"
    assert result["environment"]["plugins"].startswith("own.py (sha256 ")


@pytest.mark.parametrize("victim", [0, pytest.param(1, marks=pytest.mark.nightly)])
def test_a_killed_process_ends_the_trial_and_the_other_process(tmp_path, victim):
    def kill(record):
        if record["epoch"] == 2:
            os.kill(children()[victim], signal.SIGKILL)

    with pytest.raises(ProcessDiedError, match="SIGKILL"):
        trained(trial(), tmp_path, on_epoch=kill)
    assert children() == []


def test_what_goes_wrong_in_the_processes_is_told_as_it_is(tmp_path):
    spec = trial(KD(), teacher=trial(Baseline()))
    with pytest.raises(SpecError, match="the teacher's weights are missing") as refusal:
        trained(spec, tmp_path, teacher=tmp_path / "none.pt")
    assert refusal.value.field == "teacher"
    assert "Traceback" in refusal.value.__notes__[0]


def test_processes_end_with_the_one_that_began_them(tmp_path, gone):
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from together import trained, trial
if __name__ == "__main__":
    trained(trial(), Path({str(tmp_path)!r}))
"""
    (tmp_path / "script.py").write_text(script)
    process = subprocess.Popen([sys.executable, tmp_path / "script.py"])
    patience = time.monotonic() + PATIENCE
    while not list(tmp_path.glob("checkpoint-*")):
        assert process.poll() is None
        assert time.monotonic() < patience
        time.sleep(0.02)
    pids = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert len(pids) >= 2
    process.kill()
    process.wait()
    assert gone(pids)


@pytest.fixture
def sweep(tmp_path, start):
    def begin(text=FILE):
        (tmp_path / "sweep.yaml").write_text(text)
        return start("sweep", tmp_path / "sweep.yaml", "--storage", tmp_path / "storage", "--max-concurrent", 1)

    return begin


def files(folder, name):
    return {path.parent.name: path for path in folder.glob(f"storage/trials/*/{name}")}


@pytest.mark.nightly
@pytest.mark.usefixtures("all_cores")
def test_after_a_killed_process_and_a_killed_worker_the_trials_are_taken_up_again(sweep, tmp_path, gone):
    command = sweep()
    command.until(lambda: files(tmp_path, "checkpoint-*.pt"))
    first, worker = command.members(), command.workers()
    assert len(first) == 2
    os.kill(first[1], signal.SIGKILL)
    command.until(lambda: len(set(command.members()) - set(first)) == 2)
    second = command.members()
    (other,) = set(command.workers()) - set(worker)
    os.kill(other, signal.SIGKILL)
    answer = command.finish()
    assert answer.status == 0, answer.err
    again = [line for line in answer.out.splitlines() if line.startswith("retry")]
    assert len(again) == 2
    assert "ProcessDiedError: one of the trial's processes died: SIGKILL; next attempt in 2 s" in again[0]
    assert "worker died; next attempt in" in again[1]
    assert gone([*first, *second])
    assert not files(tmp_path, "failure.json")
    for key in files(tmp_path, "result.json"):
        directory = TrialFiles(tmp_path / "storage" / "trials" / key)
        assert directory.result()["environment"]["processes"] == 2
        assert directory.result()["environment"]["threads"] == 1
        assert [record["epoch"] for record in directory.history()] == list(range(1, 31))
        assert all(
            torch.isfinite(weight).all() for weight in torch.load(directory.directory.path / "weights.pt").values()
        )


@pytest.mark.nightly
@pytest.mark.usefixtures("all_cores")
def test_processes_whose_worker_is_told_sigterm_keep_their_trial_and_leave_and_others_go_on(sweep, tmp_path, gone):
    command = sweep(FILE.replace("{processes: 2}", "{processes: 2, retries: 0}"))
    command.until(lambda: files(tmp_path, "checkpoint-*.pt"))
    (worker,) = command.workers()[:1]
    members = command.members()
    assert len(members) == 2
    os.kill(worker, signal.SIGTERM)
    command.until(lambda: files(tmp_path, "attempt-00002.json"))
    assert gone([worker, *members])
    check_left_once(command.finish(), tmp_path)


def test_a_worker_that_is_told_sigterm_keeps_its_trial_and_leaves_and_another_goes_on(exeunt, tmp_path, gone):
    def tell_it():
        wait_until(lambda: files(tmp_path, "checkpoint-*.pt"))
        (worker,) = wait_until(lambda: len(found := workers_of(os.getpid())) == 1 and found)  # one may be ending
        os.kill(worker, signal.SIGTERM)
        wait_until(lambda: files(tmp_path, "attempt-00002.json"))
        assert gone([worker])

    (tmp_path / "sweep.yaml").write_text(FILE.replace("{processes: 2}", "{processes: 1, retries: 0}"))
    with meanwhile(tell_it):
        answer = exeunt("sweep", tmp_path / "sweep.yaml", "--storage", tmp_path / "storage")
    check_left_once(answer, tmp_path)


def check_left_once(answer, folder):
    """Assert that the sweep succeeded and that its trial had two attempts and each epoch once."""
    assert answer.status == 0, (answer.out, answer.err)
    assert "FAILED" not in answer.out
    assert "worker received SIGTERM; next attempt in" in answer.out
    (key,) = files(folder, "result.json")
    history = TrialFiles(folder / "storage" / "trials" / key).history()
    assert [record["epoch"] for record in history] == list(range(1, 31))
    assert len(files(folder, "attempt-00003.json")) == 0


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_processes_meet_on_their_device_and_wait_long_enough_for_the_first_one(monkeypatch, device):
    met = []
    monkeypatch.setattr(distributed_launch.signal, "signal", lambda *_: None)
    monkeypatch.setattr(torch.cuda, "set_device", met.append)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setitem(os.environ, "CUBLAS_WORKSPACE_CONFIG", "")
    del os.environ["CUBLAS_WORKSPACE_CONFIG"]

    def meet(backend, **place):
        del place["store"]
        met.append((backend, place, os.environ.get("CUBLAS_WORKSPACE_CONFIG")))
        raise InterruptedError

    monkeypatch.setattr(distributed_launch.dist, "init_process_group", meet)
    said = []
    speaker = SimpleNamespace(send=said.append)
    spec = {"recipe": {"deterministic": True}}
    meeting = distributed_launch.Meeting(host="127.0.0.1", port=0, processes=2)
    monkeypatch.setattr(distributed_launch, "TCPStore", lambda *_, **__: None)
    distributed_launch._take_part((spec, ()), meeting, 1, {"device": device}, speaker)
    assert [kind for kind, _ in said] == ["error"]
    place = {"rank": 1, "world_size": 2, "timeout": distributed_launch.COLLECTIVE_TIMEOUT}
    if device == "cpu":
        assert met == [("gloo", place | {"device_id": None}, None)]
    else:
        chosen = torch.device(device)
        assert met == [chosen, ("nccl", place | {"device_id": chosen}, ":4096:8")]
