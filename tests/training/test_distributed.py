"""Comparison of two processes that train one network with one process that uses the same halves of each batch."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from exeunt.losses import EED, PSKD, Baseline, methods
from exeunt.specs import SpecError
from exeunt.store import TrialFiles
from exeunt.training import DataSource, build_student, train
from exeunt.training.batches import EvaluationBatches, TrainingBatches
from exeunt.training.distributed import ProcessGroup
from exeunt.training.evaluation import ExitMetrics
from exeunt.training.student import network_costs
from torch.nn import BatchNorm2d, SyncBatchNorm
from torch.testing import assert_close

CLOCK = {"seconds", "time", "images_per_second", "peak_memory_bytes", "joules", "device_seconds"}
A_PROCESS = """
import hashlib, json, sys
from pathlib import Path
import torch
import torch.distributed as dist
from exeunt.training import TrialSpec, train
from exeunt.store import TrialFiles

module = sys.modules["exeunt.training.train"]  # the package attribute of this name is the function

class Seen(module.TrainingLoop):
    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        Seen.last, self.looks = self, 0
        if job["poison"][:1] == [rank]:
            self._loss.register_forward_hook(self.poison)

    def poison(self, loss, inputs, terms):
        self.looks += 1
        if self.looks == job["poison"][1]:  # the gradient is unchanged
            return {name: term + float("inf") for name, term in terms.items()}

module.TrainingLoop = Seen
rank = int(sys.argv[2])
dist.init_process_group("gloo", init_method=f"file://{sys.argv[1]}", rank=rank, world_size=2)
for line in sys.stdin:
    job = json.loads(line)
    trial, told, asked = TrialSpec.from_dict(job["trial"]), [], []

    def stop():
        asked.append(None)
        return job["stop"] == [rank, len(asked)]

    answer = {}
    try:
        result = train(
            trial, TrialFiles(Path(job["folder"])), device="cpu", stop=stop,
            teacher=Path(job["folder"]) / "teacher.pt", checkpoint_minutes=job["checkpoint_minutes"],
            on_epoch=lambda record: told.append(record["epoch"]),
        )
        answer["result"] = result
        state = Seen.last.trained_network.state_dict()
        answer["weights"] = hashlib.sha256(b"".join(t.numpy().tobytes() for t in state.values())).hexdigest()
    except Exception as error:
        answer["error"] = f"{type(error).__name__}: {error}"
    answer["told"] = told
    print(json.dumps(answer), flush=True)
"""
PATIENCE = 60.0
"""Seconds after which two processes are considered deadlocked."""


class Pair:
    """Two processes that train the given trials."""

    def __init__(self, meeting_place: Path) -> None:
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-c", A_PROCESS, str(meeting_place), str(rank)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for rank in range(2)
        ]

    def begin(self, trial, folder, *, stop=(), poison=(), checkpoint_minutes=10.0):
        job = {
            "trial": trial.to_dict(),
            "folder": str(folder),
            "stop": list(stop),
            "poison": list(poison),
            "checkpoint_minutes": checkpoint_minutes,
        }
        for process in self.processes:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()

    def train(self, trial, folder, **how):
        """Train a trial and return the answers of both processes."""
        self.begin(trial, folder, **how)
        watch = threading.Timer(PATIENCE, self.kill)
        watch.start()
        answers = [process.stdout.readline() for process in self.processes]
        watch.cancel()
        assert all(answers), "the processes are deadlocked"
        return [json.loads(answer) for answer in answers]

    def kill(self):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    processes = Pair(tmp_path_factory.mktemp("pair") / "meeting")
    yield processes
    processes.kill()


def measured(folder):
    records = TrialFiles(folder).history()
    return [{name: value for name, value in record.items() if name not in CLOCK} for record in records]


def parameters(folder, weights_of):
    """Return the trained parameters, without the running statistics, which depend on the processes."""
    weights = weights_of(folder).items()
    return {name: weight for name, weight in weights if "running" not in name and "num_batches" not in name}


def halves(trial):
    """Return the same trial for one process, which normalises the same halves of each batch."""
    return replace(trial, recipe=replace(trial.recipe, accumulation=2 * trial.recipe.accumulation))


TRIALS = {
    "plain": (Baseline(), {}),
    "eed": (EED(output_loss="kl"), {"mixup": 0.4, "cutout": 2, "batch_size": 101, "ema_decay": 0.9, "nesterov": True}),
    "parts": (EED(), {"batch_size": 703, "learning_rate": 0.01, "accumulation": 3, "gradient_clip": 0.5}),
    "past": (PSKD(), {"batch_size": 131, "optimizer": "adamw", "learning_rate": 0.01}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", TRIALS)
def test_two_processes_train_the_network_that_one_trains_on_the_same_halves(
    case, pair, make_trial, tmp_path, weights_of
):
    method, recipe = TRIALS[case]
    trial = replace(make_trial(method, exits="all", **recipe), validation=0.1, seed=3)
    first, second = pair.train(trial, tmp_path / "two")
    assert "error" not in first | second
    assert first["weights"] == second["weights"]
    assert first["told"] == [1, 2]
    assert second["told"] == []
    assert first["result"]["environment"]["processes"] == 2
    train(halves(trial), TrialFiles(tmp_path / "one"), device="cpu")
    assert_close(
        parameters(tmp_path / "two", weights_of), parameters(tmp_path / "one", weights_of), rtol=1e-4, atol=1e-6
    )
    for of_two, of_one in zip(measured(tmp_path / "two"), measured(tmp_path / "one"), strict=True):
        seen = {name for name in of_one if name.startswith("train/")}
        assert {"train/gradient_norm", "train/final/ece"} < seen
        assert of_two.keys() == of_one.keys()
        assert {n: of_two[n] for n in seen} == pytest.approx({n: of_one[n] for n in seen}, rel=1e-5)


@pytest.mark.slow
def test_each_image_is_tested_once(pair, make_trial, tmp_path, weights_of):
    trial = make_trial(EED(), exits="all", epochs=1)
    first, _ = pair.train(trial, tmp_path)
    network = build_student(trial)
    network.load_state_dict(weights_of(tmp_path))
    _, images = trial.dataset_facts.load(DataSource())
    metrics = ExitMetrics(3, torch.device("cpu"))
    alone = ProcessGroup()
    with torch.no_grad():
        for inputs, labels in EvaluationBatches(images, trial.dataset_facts, torch.device("cpu"), alone):
            metrics.add(network.eval()(inputs).logits, labels)
    assert float(metrics.sums["images"][0]) == len(images)
    tested = {name: value for name, value in first["result"]["metrics"].items() if name.startswith("test/")}
    assert tested == pytest.approx(metrics.summary("test", alone), rel=1e-6)


WITH_STATE = {"crd", "cs_kd", "dml", "eed", "fitnet", "mlkd", "one", "phuong", "ps_kd"}
"""Methods that keep something between steps, or read more than one batch of images."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in WITH_STATE else pytest.mark.nightly)
        for name in sorted(methods)
    ],
)
def test_every_method_can_be_trained_by_two(name, pair, make_trial, tmp_path):
    method = methods[name]()
    teacher = None
    if method.teacher != "ignored":
        teacher = make_trial(epochs=1)
        torch.save(build_student(teacher).state_dict(), tmp_path / "teacher.pt")
    trial = make_trial(method, exits="none" if method.exits == "ignored" else "all", teacher=teacher, batch_size=700)
    first, second = pair.train(trial, tmp_path)
    assert "error" not in first | second
    assert first["weights"] == second["weights"]


@pytest.mark.slow
@pytest.mark.parametrize("culprit", [0, 1])
def test_what_one_of_them_sees_diverge_has_diverged_for_both(culprit, pair, make_trial, tmp_path):
    first, second = pair.train(make_trial(EED(), exits="all"), tmp_path, poison=(culprit, 9))
    assert first["result"]["state"] == second["result"]["state"] == "diverged"
    assert first["result"]["reason"] == second["result"]["reason"]
    assert first["result"]["reason"].startswith("epoch 2, step 3: ")
    assert TrialFiles(tmp_path).result() == first["result"]


@pytest.mark.slow
@pytest.mark.parametrize("asked", [0, 1])
@pytest.mark.parametrize("after", [6, 8])
def test_asked_of_one_to_stop_both_leave_and_go_on_from_there(asked, after, pair, make_trial, tmp_path, weights_of):
    trial = make_trial(PSKD(), exits="all", epochs=3, ema_decay=0.8)
    answers = pair.train(trial, tmp_path / "stopped", stop=(asked, after))
    place = f"TrainingInterrupted: stopped in epoch {(after - 1) // 6 + 1} after step {(after - 1) % 6 + 1}"
    assert [answer["error"] for answer in answers] == [place, place]
    first, second = pair.train(trial, tmp_path / "stopped")
    assert first["weights"] == second["weights"]
    pair.train(trial, tmp_path / "whole")
    assert_close(weights_of(tmp_path / "stopped"), weights_of(tmp_path / "whole"), rtol=0, atol=0)
    assert measured(tmp_path / "stopped") == measured(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.nightly
def test_killed_at_random_steps_they_end_bit_for_bit_as_if_they_had_not_been(pair, make_trial, tmp_path, weights_of):
    trial = make_trial(EED(output_loss="kl"), exits="all", epochs=3, batch_size=101, mixup=0.4, ema_decay=0.9)
    steps, folder = 15, tmp_path / "killed"
    for number, kill in enumerate(sorted(random.Random(7).sample(range(1, 3 * steps), 3))):
        doomed = Pair(tmp_path / f"meeting{number}")
        doomed.begin(trial, folder, checkpoint_minutes=0.0)
        deadline = time.monotonic() + PATIENCE
        while newest(folder) < divmod(kill, steps):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        doomed.kill()
        assert [process.returncode for process in doomed.processes] == [-signal.SIGKILL] * 2
    assert TrialFiles(folder).result() is None
    last = sorted(folder.glob("checkpoint-*"))[-1]
    last.write_bytes(last.read_bytes()[:-100])  # only one of them may rename it
    answers = pair.train(trial, folder)
    assert not any("error" in answer for answer in answers), answers
    assert len(list(folder.glob("damaged-*"))) == 1
    pair.train(trial, tmp_path / "whole")
    assert_close(weights_of(folder), weights_of(tmp_path / "whole"), rtol=0, atol=0)
    assert measured(folder) == measured(tmp_path / "whole")


@pytest.mark.parametrize("count", [1, 2])
def test_too_small_a_batch_for_all_is_refused(count, make_trial):
    trial = make_trial(batch_size=11, accumulation=3)
    facts = trial.dataset_facts
    images, _ = facts.load(DataSource())
    known = {"seed": 0, "device": torch.device("cpu")}
    if count == 1:
        assert TrainingBatches(images, facts, trial.recipe, processes=ProcessGroup(), **known).steps_per_epoch > 1
        return
    with pytest.raises(
        SpecError, match="11 images is too small for processes=2 and accumulation=3; use batch_size 12 or larger"
    ):
        TrainingBatches(images, facts, trial.recipe, processes=ProcessGroup(rank=1, count=2), **known)


@pytest.mark.slow
def test_normalisation_over_processes_is_refused_without_accelerators(pair, make_trial, tmp_path):
    answers = pair.train(make_trial(sync_batch_norm=True), tmp_path)
    assert all(answer["error"].startswith("SpecError: `sync_batch_norm` needs GPUs") for answer in answers), answers
    assert not list(tmp_path.glob("*.pt"))
    assert train(make_trial(sync_batch_norm=True, epochs=1), TrialFiles(tmp_path), device="cpu")["state"] == "done"


@pytest.mark.slow
def test_the_network_is_the_same_with_normalisation_over_processes(make_trial):
    """This runs on a CPU in one process, where synchronised batch normalisation is a no-op."""
    trial = make_trial(EED(), exits="all")
    plain, synchronised = build_student(trial), SyncBatchNorm.convert_sync_batchnorm(build_student(trial))
    kinds = Counter(type(module) for module in plain.modules())
    found = Counter(type(module) for module in synchronised.modules())
    assert found[SyncBatchNorm] == kinds[BatchNorm2d] > 0
    assert not found[BatchNorm2d]
    images = torch.randn(8, *trial.dataset_facts.image_shape)
    assert_close(synchronised(images).logits, plain(images).logits, rtol=0, atol=0)
    assert_close(synchronised.state_dict(), plain.state_dict(), rtol=0, atol=0)
    assert network_costs(synchronised, trial.dataset_facts.image_shape) == network_costs(
        plain, trial.dataset_facts.image_shape
    )


def newest(folder):
    """Return the epoch and the step of the last checkpoint."""
    names = sorted(path.name for path in folder.glob("checkpoint-*"))
    return tuple(int(part) for part in names[-1].split("-")[1:3]) if names else (0, 0)
