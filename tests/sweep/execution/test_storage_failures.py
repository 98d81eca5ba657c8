"""Sweeps on a full or read-only disk, and with damaged files."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow

FILE = """\
name: small
dataset: digits
architectures: [resnet8]
seeds: [0, 1, 2]
recipe: {base: fast, epochs: 3}
resources: {cpu: 1, retries: 0}
methods: {baseline: {}, eed: {exits: all}}
"""
TRIALS = 6


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def undisturbed(made_once, exeunt) -> Path:
    """Return the storage of an undisturbed sweep."""

    def sweep(folder):
        (folder / "small.yaml").write_text(FILE)
        assert exeunt("sweep", folder / "small.yaml", "--storage", folder / "runs").status == 0

    return made_once("small", sweep) / "runs"


@pytest.fixture
def mlflow(tmp_path, database) -> str:
    """Return a database outside the disk: on it, it would need space and block the read-only remount."""
    return f"sqlite:///{shutil.copy(database, tmp_path / 'mlflow.db')}"


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """Mount a file system of 2.5 MiB, less than the sweep needs."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2500k", "tmpfs", path]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


def remount(disk: Path, options: str) -> None:
    patience = time.monotonic() + 60
    while subprocess.run(["mount", "-o", f"remount,{options}", disk], check=False).returncode:
        assert time.monotonic() < patience
        time.sleep(0.02)  # a file is being written


def check_refused(answer, reason: str) -> None:
    assert answer.status == 2, answer.out + answer.err
    (message,) = answer.err.splitlines()
    assert message.startswith("exeunt: ")
    assert message.endswith(f"{reason}.")


def check_same(storage: Path, undisturbed: Path) -> None:
    keys = {path.parent.name for path in storage.glob("trials/*/result.json")}
    assert len(keys) == TRIALS
    for key in keys:
        weights, expected = (torch.load(root / "trials" / key / "weights.pt") for root in (storage, undisturbed))
        assert all(torch.equal(weights[name], expected[name]) for name in expected)
    table = "sweeps/small/table.csv"
    assert (storage / table).read_bytes() == (undisturbed / table).read_bytes()


def test_a_full_disk_is_named_and_costs_nothing(disk, file, mlflow, exeunt, undisturbed):
    options = ("--storage", disk, "--tracking", mlflow)
    answer = exeunt("sweep", file, *options)
    check_refused(answer, "cannot be written: No space left on device")
    assert (
        f"Cannot use the storage. Resume with: exeunt sweep {file} --storage {disk} --tracking {mlflow}\n" in answer.out
    )
    assert "Traceback" not in answer.out
    done = {path: path.stat().st_mtime_ns for path in disk.glob("trials/*/result.json")}
    begun = {path.parent.name for path in disk.glob("trials/*/checkpoint-*")}
    assert begun - {path.parent.name for path in done}
    remount(disk, "size=100m")
    answer = exeunt("sweep", file, *options)
    assert answer.status == 0, answer.out + answer.err
    assert {path: path.stat().st_mtime_ns for path in done} == done, "a completed trial was retrained"
    check_same(disk, undisturbed)


@pytest.mark.nightly
def test_a_disk_that_becomes_read_only_is_named_and_costs_nothing(disk, file, mlflow, start, exeunt, undisturbed):
    options = ("--storage", disk, "--tracking", mlflow)
    remount(disk, "size=100m")
    command = start("sweep", file, *options)
    command.until(lambda: list(disk.glob("trials/*/checkpoint-*")))
    remount(disk, "ro")
    check_refused(command.finish(), "cannot be written: Read-only file system")
    check_refused(exeunt("sweep", file, *options), "cannot be written: Read-only file system")
    remount(disk, "rw")
    answer = exeunt("sweep", file, *options)
    assert answer.status == 0, answer.out + answer.err
    check_same(disk, undisturbed)


def test_damaged_results_are_named_and_trained_again(tmp_path, file, exeunt, undisturbed):
    storage = tmp_path / "runs"
    shutil.copytree(undisturbed, storage)
    (storage / "mlflow.db").unlink()  # it has the old location
    results = {path: path.stat().st_mtime_ns for path in sorted(storage.glob("trials/*/result.json"))}
    damages = (b"", b'{"state": "do', b"\xff\x00", b"[]", b"{}")
    damaged = dict(zip(list(results)[: len(damages)], damages, strict=True))
    for path, damage in damaged.items():
        path.write_bytes(damage)
    answer = exeunt("status", "small", "--storage", storage)
    assert answer.status == 0, answer.err
    told = "".join(answer.out.split())
    assert all(f"{path}isdamaged" in told for path in damaged)
    answer = exeunt("sweep", file, "--storage", storage)
    assert answer.status == 0, answer.out + answer.err
    assert f"{TRIALS} trials, {len(damaged)} to train" in answer.out
    assert {path for path, time in results.items() if path.stat().st_mtime_ns != time} == damaged.keys()
    assert all(json.loads(path.read_text())["state"] == "done" for path in damaged)
    check_same(storage, undisturbed)


@pytest.mark.nightly
def test_killed_whole_between_weights_and_result_it_goes_on(tmp_path, file, start, exeunt, undisturbed, last_moment):
    """Driver and workers are killed just before a `result.json` appears."""
    storage, moment = tmp_path / "runs", last_moment(signal.SIGSTOP)
    command = start("sweep", file, "--storage", storage, "--plugin", moment.plugin)
    command.until(moment.reached.exists)
    for pid in [*command.workers(), command.process.pid]:
        os.kill(pid, signal.SIGKILL)
    command.process.communicate(timeout=60)
    done = {path.parent for path in storage.glob("trials/*/result.json")}
    assert any(path.parent not in done for path in storage.glob("trials/*/weights.pt"))
    answer = exeunt("sweep", file, "--storage", storage)
    assert answer.status == 0, answer.out + answer.err
    check_same(storage, undisturbed)
