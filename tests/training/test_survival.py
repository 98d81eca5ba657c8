"""Training that is killed, stopped or out of memory, and its protocols."""

import importlib
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from exeunt.losses import CRD, EED, PSKD
from exeunt.store import TrialFiles
from exeunt.training import DatasetSpec, OutOfMemoryError, TrainingInterrupted, build_student, datasets, train
from torch.testing import assert_close

from .killable import Training

CLOCK = {"seconds", "time", "images_per_second", "peak_memory_bytes", "joules", "device_seconds"}


def newest(folder):
    """Return the epoch and the step of the last checkpoint."""
    names = sorted(path.name for path in folder.glob("checkpoint-*"))
    return tuple(int(part) for part in names[-1].split("-")[1:3]) if names else (0, 0)


def history(folder):
    records = TrialFiles(folder).history()
    return [{name: value for name, value in record.items() if name not in CLOCK} for record in records]


def assert_same(first, second, weights_of):
    assert_close(weights_of(first), weights_of(second), rtol=0, atol=0)
    assert history(first) == history(second)


@pytest.fixture(scope="module")
def hard(make_trial):
    """Trial with all features whose state a restart must restore."""
    trial = make_trial(
        EED(output_loss="kl"), exits="all", epochs=4, batch_size=128, mixup=0.4, cutout=2, ema_decay=0.9, nesterov=True
    )
    return replace(trial, validation=0.1, seed=5)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=pytest.mark.nightly)])
def test_killed_ten_times_at_random_steps_it_ends_bit_for_bit_as_if_it_had_not_been(
    hard, tmp_path, weights_of, precision
):
    trial = replace(hard, recipe=replace(hard.recipe, precision=precision))
    train(trial, TrialFiles(tmp_path / "whole"), device="cpu")
    chance, folder = random.Random(precision), tmp_path / "killed"
    steps = 11  # of 1,295 images in batches of 128; one epoch
    kills = sorted(
        chance.sample(range(1, 3 * steps), 10)
    )  # in the first three of four epochs, so that every kill happens before the end
    for kill in kills:
        epoch, step = divmod(kill, steps)
        moment = chance.choice(["open", "os.rename"])  # before the write, or between the write and the rename
        status, complaint = Training(trial, folder, moment=moment, fatal=f"checkpoint-{epoch:05d}-{step:07d}-").finish()
        assert status == -signal.SIGKILL, complaint
        assert newest(folder) < (epoch, step)
    assert TrialFiles(folder).result() is None
    status, complaint = Training(trial, folder).finish()
    assert status == 0, complaint
    assert_same(folder, tmp_path / "whole", weights_of)


@pytest.mark.slow
@pytest.mark.parametrize("fatal", ["weights", "result"])
def test_killed_between_its_last_step_and_its_result_it_goes_on(make_trial, tmp_path, weights_of, fatal):
    trial = make_trial(EED(), exits="all")
    train(trial, TrialFiles(tmp_path / "whole"), device="cpu")
    folder = tmp_path / "killed"
    status, complaint = Training(trial, folder, moment="os.rename", fatal=fatal).finish()
    assert status == -signal.SIGKILL, complaint
    assert (folder / "weights.pt").exists() == (fatal == "result")
    assert TrialFiles(folder).result() is None
    train(trial, TrialFiles(folder), device="cpu")
    assert TrialFiles(folder).result()["state"] == "done"
    assert_same(folder, tmp_path / "whole", weights_of)


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [1, 6, 15])
@pytest.mark.parametrize("method", [EED(ensemble_weights="learned"), PSKD(), CRD(negatives=50)], ids=lambda m: m.name)
def test_asked_to_stop_it_leaves_after_the_step_and_goes_on_from_there(
    make_trial, tmp_path, weights_of, method, stop_after
):
    teacher, weights = None, None
    if method.teacher != "ignored":
        teacher, weights = make_trial(), tmp_path / "teacher.pt"
        torch.save(build_student(teacher).state_dict(), weights)
    trial = make_trial(method, exits="all", teacher=teacher, epochs=3, accumulation=2, ema_decay=0.8, schedule="cosine")
    train(trial, TrialFiles(tmp_path / "whole"), device="cpu", teacher=weights)
    asked = []

    def stop():
        asked.append(None)
        return len(asked) == stop_after

    with pytest.raises(
        TrainingInterrupted, match=f"epoch {(stop_after - 1) // 6 + 1} after step {(stop_after - 1) % 6 + 1}"
    ):
        train(trial, TrialFiles(tmp_path / "stopped"), device="cpu", teacher=weights, stop=stop)
    assert len(asked) == stop_after
    assert newest(tmp_path / "stopped") == ((stop_after - 1) // 6, (stop_after - 1) % 6 + 1)
    train(trial, TrialFiles(tmp_path / "stopped"), device="cpu", teacher=weights)
    assert_same(tmp_path / "stopped", tmp_path / "whole", weights_of)


@pytest.mark.slow
def test_sigterm_writes_a_checkpoint_and_ends_the_training_at_once(hard, tmp_path):
    trial = replace(hard, recipe=replace(hard.recipe, epochs=500))
    training = Training(trial, tmp_path, checkpoint_minutes=10)
    while newest(tmp_path) < (2, 0):
        assert training.is_running(), training.finish()
        time.sleep(0.01)
    training.terminate()
    told = time.monotonic()
    _, complaint = training.finish(60)
    assert time.monotonic() - told < 30
    assert "TrainingInterrupted: stopped in epoch" in complaint
    assert newest(tmp_path)[1] > 0


@pytest.mark.slow
def test_a_damaged_checkpoint_costs_what_was_trained_since_the_one_before(make_trial, tmp_path, weights_of):
    trial = make_trial(EED(), exits="all", epochs=3)
    train(trial, TrialFiles(tmp_path / "whole"), device="cpu")

    def stop_in_the_third_epoch(record):
        if record["epoch"] == 2:
            raise InterruptedError

    folder = tmp_path / "damaged"
    with pytest.raises(InterruptedError):
        train(trial, TrialFiles(folder), device="cpu", on_epoch=stop_in_the_third_epoch, checkpoint_minutes=0)
    last = sorted(folder.glob("checkpoint-*"))[-1]
    last.write_bytes(last.read_bytes()[:-100])
    told = []
    with pytest.warns(UserWarning, match="damaged"):
        train(trial, TrialFiles(folder), device="cpu", on_epoch=told.append)
    assert [record["epoch"] for record in told] == [2, 3]
    assert_same(folder, tmp_path / "whole", weights_of)


@pytest.fixture
def _rare_checkpoints(monkeypatch):
    """Checkpoints that take much longer than an epoch."""
    monkeypatch.setattr(importlib.import_module("exeunt.training.train"), "CHECKPOINT_SHARE", 1e-9)


@pytest.mark.usefixtures("_rare_checkpoints")
@pytest.mark.slow
def test_epochs_after_the_last_checkpoint_are_trained_again_and_recorded_once(make_trial, tmp_path, weights_of):
    trial = make_trial(EED(), exits="all", epochs=4, batch_size=700)
    train(trial, TrialFiles(tmp_path / "whole"), device="cpu")
    told, folder = [], tmp_path / "killed"

    def tell(record):
        told.append(record["epoch"])
        if len(told) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(trial, TrialFiles(folder), device="cpu", on_epoch=tell)
    assert newest(folder) == (1, 0)
    assert [record["epoch"] for record in history(folder)] == [1, 2, 3]
    train(trial, TrialFiles(folder), device="cpu", on_epoch=tell)
    assert told == [1, 2, 3, 2, 3, 4]
    assert_same(folder, tmp_path / "whole", weights_of)


@pytest.mark.usefixtures("_rare_checkpoints")
@pytest.mark.slow
def test_the_last_epoch_and_the_best_one_of_the_papers_protocol_have_a_checkpoint(make_trial, tmp_path):
    kept = []

    def note(record):
        kept.append((record.get("test_by_epoch/final/top1"), newest(tmp_path / trial.protocol)[0]))

    for trial in (
        make_trial(epochs=3),
        replace(make_trial(epochs=3), protocol="paper"),
    ):
        kept.clear()
        train(trial, TrialFiles(tmp_path / trial.protocol), device="cpu", on_epoch=note)
        best = [
            epoch
            for epoch in (1, 2, 3)
            if trial.protocol == "paper" and kept[epoch - 1][0] > max([-1, *(top1 for top1, _ in kept[: epoch - 1])])
        ]
        assert (2 in best) == (trial.protocol == "paper")
        expected, last = [], 0
        for epoch in (1, 2, 3):
            last = epoch if epoch in (1, *best, 3) else last
            expected.append(last)
        assert [epoch for _, epoch in kept] == expected


def test_a_checkpoint_ends_each_epoch_if_it_is_quick(make_trial, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.import_module("exeunt.training.train"), "CHECKPOINT_SHARE", 1e9)
    found = []
    train(
        make_trial(epochs=3, batch_size=700),
        TrialFiles(tmp_path),
        device="cpu",
        on_epoch=lambda _: found.append(newest(tmp_path)),
    )
    assert found == [(1, 0), (2, 0), (3, 0)]


SHORT_OF_MEMORY = """
import resource, sys
from pathlib import Path
import torch
from exeunt.store import TrialFiles
from exeunt.training import *
from exeunt.losses import Baseline
from exeunt.models import ArchitectureSpec
torch.ones(8, 3, 8, 8)
recipe = Recipe(epochs=1, batch_size=1400)
digits, wide = DatasetSpec(name="digits"), ArchitectureSpec(name="wrn_28_10")
trial = TrialSpec(dataset=digits, architecture=wide, method=Baseline(), recipe=recipe)
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 1_000_000_000, -1))
try:
    train(trial, TrialFiles(Path(sys.argv[1])), device="cpu")
except OutOfMemoryError as outcome:
    print(outcome)
"""


@pytest.mark.slow
def test_too_little_memory_is_told_with_batch_size_peak_and_a_way_out(tmp_path):
    command = [sys.executable, "-c", SHORT_OF_MEMORY, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("out of memory with batch_size 1400 and accumulation 1; the peak was "), ended.stderr
    assert "Set `accumulation: 2` to need less memory." in ended.stdout
    assert TrialFiles(tmp_path).result() is None


@pytest.mark.slow
def test_a_network_that_is_too_large_for_the_memory_is_told_before_the_first_step(tmp_path):
    """The weights need 146 MB, and half of that is available."""
    script = SHORT_OF_MEMORY.replace("1_000_000_000", "73_000_000")
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("out of memory before the first step: wrn_28_10 with baseline and the"), ended.stderr


@pytest.mark.parametrize("allocate", [torch.empty, np.empty, bytearray])
def test_images_that_are_too_many_for_the_memory_are_told_before_the_first_step(allocate, make_trial, tmp_path):
    enormous = replace(datasets["digits"], load=lambda _: allocate(2**56))
    datasets.register("enormous")(enormous)
    try:
        trial = replace(make_trial(), dataset=DatasetSpec(name="enormous"))
        with pytest.raises(OutOfMemoryError, match="the images of enormous do not fit into the free memory of cpu"):
            train(trial, TrialFiles(tmp_path), device="cpu")
    finally:
        datasets.unregister("enormous")


@pytest.mark.slow
@pytest.mark.nightly
def test_memory_does_not_grow_with_epochs(make_trial, tmp_path):
    sizes = []
    page = os.sysconf("SC_PAGE_SIZE")

    def note(_record):
        with open("/proc/self/statm") as file:  # noqa: PTH123
            sizes.append(int(file.read().split()[1]) * page)

    trial = make_trial(EED(), exits="all", epochs=50, mixup=0.2, ema_decay=0.9)
    train(trial, TrialFiles(tmp_path), device="cpu", on_epoch=note)
    assert len(sizes) == 50
    assert max(sizes[25:]) <= 1.02 * max(sizes[5:15])


@pytest.mark.slow
def test_the_papers_protocol_keeps_the_best_epoch_on_test(make_trial, tmp_path, weights_of):
    trial = replace(make_trial(epochs=4, batch_size=64, milestones=(2,), decay=20.0), protocol="paper")
    result = train(trial, TrialFiles(tmp_path / "paper"), device="cpu")
    by_epoch = [record["test_by_epoch/final/top1"] for record in TrialFiles(tmp_path / "paper").history()]
    best = by_epoch.index(max(by_epoch)) + 1
    assert best < 4, by_epoch  # otherwise the test proves nothing
    assert result["protocol"] == "best epoch on test, chosen on test"
    assert result["metrics"]["test/final/top1"] == max(by_epoch)
    kept = weights_of(tmp_path / "paper")

    def stop(record):
        if record["epoch"] == best:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(trial, TrialFiles(tmp_path / "until"), device="cpu", on_epoch=stop)
    assert_close(weights_of(tmp_path / "until"), kept, rtol=0, atol=0)


def test_tuning_never_reads_the_test_images(make_trial, tmp_path, monkeypatch):
    from exeunt.training.data import Images

    trial = replace(make_trial(epochs=1), protocol="tuning", validation=0.2)
    images_of = Images.batches
    sizes = []

    def counted(images, order, boxes=None):
        sizes.append(len(images))
        return images_of(images, order, boxes)

    monkeypatch.setattr(Images, "batches", counted)
    metrics = train(trial, TrialFiles(tmp_path), device="cpu")["metrics"]
    assert not any(name.startswith("test") for name in metrics)
    assert sorted(sizes) == [287, 1151]  # of the digits' 1,438 images for training; 359 are for test
    assert torch.isfinite(torch.tensor(metrics["validation/final/top1"]))
