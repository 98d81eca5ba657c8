import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def train_speed(monkeypatch):
    """Module of the benchmark, a script in the directory of the benchmarks."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import train_speed

    yield train_speed
    for name in ("train_speed", "authors", "rows"):
        sys.modules.pop(name)


@pytest.mark.parametrize(("device", "waits"), [("cuda", ["wait"]), ("cpu", [])])
def test_a_block_of_steps_waits_once_for_a_gpu(train_speed, monkeypatch, device, waits):
    done = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _device: done.append("wait"))
    train_speed.seconds_per_step(lambda: done.append("step"), 5, torch.device(device))
    assert done == 5 * ["step"] + waits


class Theirs:
    """Program of the authors that notes the conditions of its steps."""

    seen = None

    def __init__(self, *_):
        Theirs.seen = []

    def step(self):
        Theirs.seen.append(torch.backends.cudnn.benchmark)

    def stop(self):
        Theirs.seen.append("stopped")


def test_both_programs_run_in_the_conditions_of_training(train_speed, monkeypatch):
    ours = []

    class Ours(Theirs):
        precision = "fp32"

        def __init__(self, *_):
            pass

        def train_epoch(self):
            while True:
                yield ours.append(torch.backends.cudnn.benchmark)

    reported = []
    monkeypatch.setattr(train_speed, "AuthorsProgram", Theirs)
    monkeypatch.setattr(train_speed, "TrainingLoop", Ours)
    monkeypatch.setattr(train_speed, "choose_device", lambda _: torch.device("cpu"))
    monkeypatch.setattr(train_speed, "report", lambda *row, **_: reported.append(row[-1]))
    train_speed.compare_speed(Path("their"), Path("data"), 2, 3, 0, "fp32")
    assert ours == 8 * [True]  # 2 to warm up, then 2 blocks of 3
    assert Theirs.seen == [*ours, "stopped"]
    assert reported == ["images/s", "images/s"]
    assert not torch.backends.cudnn.benchmark
