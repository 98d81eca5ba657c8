"""A disk that is full or read-only, and files that something else has damaged."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sweep")]

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
def undisturbed(tmp_path_factory, exeunt) -> Path:
    """The storage of a sweep that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "small.yaml").write_text(FILE)
    assert exeunt("sweep", folder / "small.yaml", "--storage", folder / "runs").returncode == 0
    return folder / "runs"


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A file system of two and a half mebibytes, less than the sweep needs."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2500k", "tmpfs", path]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True)


def check_refused(answer, reason: str) -> None:
    assert answer.returncode == 2, answer.stdout + answer.stderr
    (message,) = answer.stderr.splitlines()
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


def test_a_full_disk_is_named_and_costs_nothing(disk, file, exeunt, undisturbed):
    answer = exeunt("sweep", file, "--storage", disk)
    check_refused(answer, "cannot be written: No space left on device")
    assert f"the storage cannot be used; go on with: exeunt sweep {file} --storage {disk}\n" in answer.stdout
    assert "Traceback" not in answer.stdout
    done = {path: path.stat().st_mtime_ns for path in disk.glob("trials/*/result.json")}
    begun = {path.parent.name for path in disk.glob("trials/*/checkpoint-*")}
    assert begun - {path.parent.name for path in done}
    remount(disk, "size=100m")
    answer = exeunt("sweep", file, "--storage", disk)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert {path: path.stat().st_mtime_ns for path in done} == done, "what was done was trained again"
    check_same(disk, undisturbed)


def test_a_disk_that_becomes_read_only_is_named_and_costs_nothing(disk, file, start, exeunt, undisturbed):
    remount(disk, "size=100m")
    command = start("sweep", file, "--storage", disk)
    command.until(lambda: list(disk.glob("trials/*/checkpoint-*")))
    remount(disk, "ro")
    check_refused(command.finish(), "cannot be written: Read-only file system")
    check_refused(exeunt("sweep", file, "--storage", disk), "cannot be written: Read-only file system")
    remount(disk, "rw")
    answer = exeunt("sweep", file, "--storage", disk)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    check_same(disk, undisturbed)


@pytest.mark.parametrize("damage", [b"", b'{"state": "do', b"\xff\x00", b"[]", b"{}"])
def test_a_damaged_result_is_named_and_trained_again(damage, tmp_path, file, exeunt, undisturbed):
    storage = tmp_path / "runs"
    shutil.copytree(undisturbed, storage)
    (storage / "mlflow.db").unlink()  # it knows the old folder
    results = {path: path.stat().st_mtime_ns for path in sorted(storage.glob("trials/*/result.json"))}
    damaged = next(iter(results))
    damaged.write_bytes(damage)
    answer = exeunt("status", "small", "--storage", storage)
    assert answer.returncode == 0, answer.stderr
    assert "is damaged" in " ".join(answer.stdout.split())
    answer = exeunt("sweep", file, "--storage", storage)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"{TRIALS} trials, 1 to train" in answer.stdout
    assert {path for path, time in results.items() if path.stat().st_mtime_ns != time} == {damaged}
    assert json.loads(damaged.read_text())["state"] == "done"
    check_same(storage, undisturbed)


def test_killed_whole_between_weights_and_result_it_goes_on(tmp_path, file, start, exeunt, undisturbed):
    """Driver and workers die in the instant before a `result.json` appears, a few times over."""
    storage = tmp_path / "runs"

    def ending() -> bool:
        done = {path.parent for path in storage.glob("trials/*/result.json")}
        return any(path.parent not in done for path in storage.glob("trials/*/weights.pt"))

    hits = 0
    for _ in range(6):
        command = start("sweep", file, "--storage", storage)
        while not ending() and command.process.poll() is None:
            pass
        for pid in [*command.workers(), command.process.pid]:
            os.kill(pid, 9)
        command.process.communicate(timeout=60)
        hits += ending()
        if hits == 2:
            break
    assert hits == 2
    answer = exeunt("sweep", file, "--storage", storage)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    check_same(storage, undisturbed)
