"""Two processes that train together, each on its own stand-in for a GPU: no step waits, blocks or mixes devices."""

import itertools
import multiprocessing
import traceback
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
from exeunt.losses import EED
from exeunt.training import DataSource, TrialSpec
from exeunt.training.distributed import ProcessGroup
from exeunt.training.loop import TrainingLoop
from torch.testing import assert_close

from ..fake_cuda import DEVICE, fake_cuda

pytestmark = pytest.mark.slow

PATIENCE_S = 120
STEPS = 3
FAULTS = {
    "none": lambda _: None,
    "wait": lambda values: values.sum().item(),
    "exchange on the CPU": lambda _: dist.all_reduce(torch.zeros(3)),
    "upload": lambda values: values + torch.ones(len(values)).to(DEVICE),
}
"""Functions that are called with the loss terms of each step, before their mean over the processes."""


def parameters(loop):
    """Return the trained parameters; running statistics depend on the processes."""
    return {name: getattr(weight, "held", weight).detach() for name, weight in loop.trained_network.named_parameters()}


def take_part(rank, meeting, spec, fault, answer):
    """Train some steps in one of the processes; send what blocked in the last one, its broadcasts, and the weights."""
    real = ProcessGroup.mean
    ProcessGroup.mean = lambda self, values: (FAULTS[fault](values), real(self, values))[1]
    torch.set_num_threads(1)
    try:
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
        with fake_cuda() as gpu:
            loop = TrainingLoop(TrialSpec.from_dict(spec), DEVICE, None, DataSource(), ProcessGroup.current())
            blocking, broadcasts = [], 0
            for _ in itertools.islice(loop.train_epoch(), STEPS):
                blocking, broadcasts = gpu.blocking, gpu.launches["broadcast_"]
                gpu.forget()
            weights = {name: weight.numpy() for name, weight in parameters(loop).items()}
        answer.send((blocking, broadcasts, weights))
    except Exception:
        answer.send((traceback.format_exc(), 0, {}))


@pytest.fixture
def together(tmp_path):
    """Function that trains a trial in two processes, and returns the answer of each."""
    spawn = multiprocessing.get_context("spawn")
    members = []

    def train(trial, fault="none"):
        pipes = [spawn.Pipe(duplex=False) for _ in range(2)]
        for rank, (_, answer) in enumerate(pipes):
            arguments = (rank, str(tmp_path / "meeting"), trial.to_dict(), fault, answer)
            members.append(spawn.Process(target=take_part, args=arguments))
            members[-1].start()
        assert all(receiver.poll(PATIENCE_S) for receiver, _ in pipes), "the processes are deadlocked"
        return [receiver.recv() for receiver, _ in pipes]

    yield train
    for member in members:
        member.kill()
        member.join()


@pytest.mark.parametrize("recipe", [{}, {"accumulation": 2, "mixup": 0.3, "ema_decay": 0.9, "gradient_clip": 1.0}])
def test_a_step_of_two_processes_blocks_nowhere_and_is_that_of_one(together, make_trial, recipe):
    trial = make_trial(EED(), exits="all", batch_size=64, learning_rate=0.01, **recipe)
    (*first, weights), (*second, others) = together(trial)
    assert first == second == [[], 0]
    halves = replace(trial, recipe=replace(trial.recipe, accumulation=2 * trial.recipe.accumulation))
    alone = TrainingLoop(halves, torch.device("cpu"), None, DataSource(), ProcessGroup())
    for _ in itertools.islice(alone.train_epoch(), STEPS):
        pass
    for name, weight in parameters(alone).items():
        assert (weights[name] == others[name]).all()
        assert_close(torch.from_numpy(weights[name]), weight, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("wait", "_local_scalar_dense"),
        pytest.param("exchange on the CPU", "allreduce_", marks=pytest.mark.nightly),
        pytest.param("upload", "pageable", marks=pytest.mark.nightly),
    ],
)
def test_the_stand_in_finds_a_planted_fault_in_each_process(together, make_trial, fault, found):
    for blocking, *_ in together(make_trial(EED(), exits="all", batch_size=64), fault):
        assert [event.what for event in blocking] == [found]
        assert "test_on_two_gpus.py" in blocking[0].place
