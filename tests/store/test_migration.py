"""A storage that Exeunt 0.1.0 wrote is converted, read, verified and continued; nothing is trained again."""

import json
import os
import re
import shutil
import socket
import tarfile
from pathlib import Path

import pytest
from exeunt.specs import SpecError
from exeunt.store import Store, hold_lease, liveness
from exeunt.store.liveness import this_process
from exeunt.store.migration import OLD_KEY, migrate_trials

from ..command_line import run_in_process

ASSET = Path(__file__).parents[1] / "assets" / "store-0.1.0.tar.xz"
SWEEPS = {"builtin": 1, "done": 14, "found": 7, "halfway": 4, "stopped": 9}
"""Sweeps of the asset with their numbers of trials."""


@pytest.fixture(scope="module")
def extracted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(ASSET) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def old(extracted, tmp_path, monkeypatch):
    """Directory with `runs`, the sweep files and their plugin, as 0.1.0 left them."""
    shutil.copytree(extracted, tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    # The killed sweep's driver ran on another machine: each command waits for its next heartbeat.
    monkeypatch.setattr(liveness, "HEARTBEAT_INTERVAL_S", 0.4)
    return tmp_path / "old"


def results(folder):
    """Return the results below a folder, by what identifies their trial in every version."""
    found = {}
    for path in folder.glob("runs/trials/*/result.json"):
        spec, result = (json.loads(path.with_name(name).read_text()) for name in ("spec.json", "result.json"))
        found[json.dumps(spec | {"format": 0}, sort_keys=True)] = result | {"key": "", "format": 0}
    return found


def test_each_trial_gets_its_new_key_and_keeps_all_else(old):
    before = results(old)
    files = {path.name for path in old.glob("runs/trials/*/*")}
    store = Store(old / "runs")
    converted = list(migrate_trials(store))
    assert len(converted) == 33
    assert not [one.problem for one in converted if one.problem]
    assert not any(map(OLD_KEY.fullmatch, store.keys()))
    assert results(old) == before
    assert {path.name for path in old.glob("runs/trials/*/*")} == files
    assert list(migrate_trials(store)) == []
    keys = store.keys()
    for key in keys:
        assert store.trial(key).spec() is not None
        assert store.progress(key).state in ("done", "running", "waiting")


def test_a_conversion_that_was_interrupted_is_repeated(old, monkeypatch):
    store = Store(old / "runs")
    renamed = []

    def dies_at_the_third(self, name, new):
        renamed.append(name)
        if len(renamed) == 3:
            raise KeyboardInterrupt
        return rename(self, name, new)

    kind = type(store.root)
    rename = kind.rename_subdirectory
    with monkeypatch.context() as patch:
        patch.setattr(kind, "rename_subdirectory", dies_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            list(migrate_trials(store))
    assert len(list(migrate_trials(store))) == 31
    assert not any(map(OLD_KEY.fullmatch, store.keys()))


def test_a_trial_whose_spec_is_another_ones_is_left_and_named(old):
    first, second = sorted(old.glob("runs/trials/*"))[:2]
    shutil.copy(first / "spec.json", second / "spec.json")
    (left,) = [one for one in migrate_trials(Store(old / "runs")) if one.problem]
    assert (left.old, left.new) == (second.name, "")
    assert "belongs to another trial" in left.problem


def test_nothing_is_converted_while_0_1_0_runs_a_sweep(old):
    lease = old / "runs" / "sweeps" / "halfway" / "driver.json"
    lease.write_text(json.dumps(json.loads(lease.read_text()) | this_process()))
    before = sorted(path.name for path in old.glob("runs/trials/*"))
    status, out, err = run_in_process("migrate", "--plugin", "tiny.py")
    assert (status, out) == (2, "")
    assert f"process {os.getpid()} on {socket.gethostname()} runs sweep 'halfway' with Exeunt 0.1.0" in err
    assert err.endswith("stop it before the storage is converted.\n")
    assert sorted(path.name for path in old.glob("runs/trials/*")) == before


def test_a_driver_of_this_release_does_not_stop_the_conversion(old):
    store = Store(old / "runs")
    with hold_lease(store.sweep_directory("halfway"), "halfway"):
        assert len(list(migrate_trials(store))) == 33


def test_weights_that_a_sweep_file_names_stay_in_their_place(old):
    store = Store(old / "runs")
    specs = {path.parent: json.loads(path.read_text()) for path in sorted(old.glob("runs/trials/*/spec.json"))}
    teacher, spec = next((folder, spec) for folder, spec in specs.items() if (folder / "weights.pt").exists()
                         and spec["architecture"]["name"].startswith("resnet"))  # fmt: skip
    weights = (teacher / "weights.pt").read_bytes()
    architecture = spec["architecture"]["name"]
    (old / "runs" / "sweeps" / "taught").mkdir()
    (old / "runs" / "sweeps" / "taught" / "sweep.yaml").write_text(
        f"name: taught\ndataset: {spec['dataset']['name']}\narchitectures: [{architecture}]\nseeds: [0]\n"
        f"recipe: fast\nmethods:\n  kd: {{teacher: '{architecture}@{teacher}/weights.pt'}}\n"
    )
    assert run_in_process("migrate", "--plugin", "tiny.py").status == 0
    (student,) = store.plan("taught").trials
    assert Path(student.configuration.weights) == teacher / "weights.pt"
    assert (teacher / "weights.pt").read_bytes() == weights
    assert [path.name for path in old.glob("runs/trials/*") if OLD_KEY.fullmatch(path.name)] == [teacher.name]
    assert list(migrate_trials(store)) == [], "the copy is no trial"
    assert teacher.name not in run_in_process("clean", "--dry-run").out


def test_verify_names_each_sweep_and_trial_that_is_not_converted_and_checks_the_others(old):
    status, out, err = run_in_process("verify")
    assert (status, err) == (1, "")
    assert len(SWEEPS) + 33 == int(re.search(r": (\d+) problems", out)[1])
    Store(old / "runs").sweep_directory("done").write("plan.json", b'{"format": 99}')
    out = " ".join(run_in_process("verify").out.split())
    assert "format 99" in out
    assert "halfway" in out
    assert run_in_process("verify", "halfway").status == 2


def test_before_the_conversion_a_command_names_it(old):
    with pytest.raises(SpecError, match=r"launched by Exeunt 0\.1\.0; convert the storage with: exeunt migrate"):
        Store(old / "runs").plan("done")


def test_the_command_converts_trials_and_plans_and_runs_no_code_from_the_storage(old):
    status, _, problems = run_in_process("migrate")
    assert status == 1
    assert problems.count("give the same --plugin tiny.py as when it was launched") == len(SWEEPS)
    status, out, problems = run_in_process("migrate", "--plugin", "tiny.py")
    assert (status, problems) == (0, "")
    assert "0 trials and 5 sweeps converted\n" in out
    assert [line.split()[5] for line in out.splitlines()[1:]] == [*SWEEPS]
    store = Store(old / "runs")
    for name, trials in SWEEPS.items():
        assert len(store.plan(name).trials) == trials
    status, out, _ = run_in_process("status", "stopped")
    assert "6 done, 0 started, 0 waiting, 0 failed, 3 pruned" in out
    status, out, _ = run_in_process("sync", "done")
    assert (status, "14 trials, " in out) == (0, True)
    status, out, _ = run_in_process("verify", "done")
    assert (status, "no problems" in out) == (0, True)
    status, out, _ = run_in_process("table", "done", "--format", "csv")
    assert status == 0
    assert ",66.15" in out, "the mean that 0.1.0 printed"


@pytest.mark.slow
def test_a_sweep_is_continued_and_its_results_are_not_trained_again(old, exeunt):
    before = results(old)
    status, out, err = exeunt("sweep", "halfway.yaml", "--plugin", "tiny.py")
    assert (status, err) == (0, "")
    assert "33 trials of Exeunt 0.1.0 converted" in out
    after = results(old)
    assert len(after) == len(before) + 3
    assert {name: after[name] for name in before} == before
    resumed = next(path for path in old.glob("runs/trials/*/attempt-00003.json"))
    history = [json.loads(line) for line in resumed.with_name("history.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in history] == [1, 2, 3, 4, 5, 6]
    assert history[1]["time"] < history[2]["time"] - 60, "the first two epochs are those of 0.1.0"
