"""Compilation with a backend that counts: what was compiled, and which graph ran for each batch."""

import weakref
from itertools import islice
from pathlib import Path

import pytest
import torch
from exeunt.losses import EED, KD
from exeunt.specs import SpecError
from exeunt.store import TrialFiles
from exeunt.training import DataSource, Recipe, build_student, compilation, train
from exeunt.training.checkpoints import serialized
from exeunt.training.distributed import ProcessGroup
from exeunt.training.loop import TrainingLoop
from exeunt.training.teacher import SourceWeights

CPU = torch.device("cpu")


class Backend:
    """Backend of `torch.compile` that runs graphs as they are; `ran` has the number of each graph that ran."""

    def __init__(self):
        self.dynamic, self.ran = [], []

    def __call__(self, graph, examples):
        number = len(self.dynamic)
        self.dynamic.append(any(isinstance(example, torch.SymInt) for example in examples))

        def run(*inputs):
            self.ran.append(number)
            return graph(*inputs)

        return run


@pytest.fixture
def backend(monkeypatch):
    counting, compiled = Backend(), torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda call, *, dynamic, **_: compiled(call, backend=counting, dynamic=dynamic)
    )
    monkeypatch.setattr(compilation, "_graphs_of", [])
    torch.compiler.reset()
    yield counting
    torch.compiler.reset()


def steps(trial, backend, count=1, weights=None):
    """Train some steps and return the numbers of graphs that were compiled and that ran."""
    before = len(backend.dynamic), len(backend.ran)
    with compilation.compilation(trial, processes=1):
        run = TrainingLoop(trial, CPU, weights, DataSource(), ProcessGroup())
        for _ in islice(run.train_epoch(), count):
            pass
    return len(backend.dynamic) - before[0], len(backend.ran) - before[1]


@pytest.mark.slow
def test_each_network_of_a_process_is_compiled_however_many_there_were(make_trial, backend, monkeypatch):
    monkeypatch.setattr(compilation, "RECOMPILE_LIMIT", 1)
    networks = [("resnet8", "1"), ("resnet8", "none"), ("resnet8", "2"), ("resnet14", "none")]
    networks += [("resnet8", "all"), ("resnet14", "1"), ("resnet8", "1")]
    for architecture, exits in networks:
        method = None if exits == "none" else EED()
        trial = make_trial(method, architecture=architecture, exits=exits, compile="on", batch_size=64, crop="none")
        assert steps(trial, backend) == (1, 1)


@pytest.mark.slow
def test_seeds_and_settings_of_one_network_share_its_graphs(make_trial, backend):
    trials = [
        make_trial(compile="on", **{"batch_size": 64, **settings})
        for settings in ({}, {"seed": 1}, {"learning_rate": 0.2}, {"batch_size": 62})
    ]
    assert [steps(trial, backend) for trial in trials] == [(1, 1), (0, 1), (0, 1), (1, 1)]


@pytest.mark.slow
def test_a_network_that_would_run_without_compilation_is_an_error(make_trial, backend, monkeypatch):
    monkeypatch.setattr(compilation, "RECOMPILE_LIMIT", 1)
    with pytest.raises(Exception, match="recompile_limit"):
        steps(make_trial(compile="on", batch_size=1000), backend, count=2)


@pytest.mark.slow
def test_full_batches_keep_their_graph_in_all_epochs(make_trial, backend, tmp_path):
    """Each epoch has a batch of 1000 and one of 438 images; 359 are evaluated at the end."""
    train(make_trial(compile="on", batch_size=1000, epochs=3), TrialFiles(tmp_path), device="cpu")
    assert not any(backend.dynamic)
    assert backend.ran[:7] == [0, 1, 0, 1, 0, 1, 2]


@pytest.mark.slow
def test_teacher_and_moving_average_are_compiled_as_well(make_trial, backend):
    trial = make_trial(KD(), teacher=make_trial(), compile="on", batch_size=1438, ema_decay=0.5, epochs=1)
    weights = _weights(trial.teacher)
    with compilation.compilation(trial, processes=1):
        run = TrainingLoop(trial, CPU, weights, DataSource(), ProcessGroup())
        list(run.train_epoch())
        trained = len(backend.ran)
        run.finish_epoch()
    assert trained == 2
    assert len(backend.ran) > trained


def _weights(teacher):
    content = bytes(serialized(build_student(teacher).state_dict()))
    return SourceWeights(path=Path("teacher.pt"), content=content, sha256="")


@pytest.mark.parametrize("mode", ["off", "on"])
@pytest.mark.slow
def test_nothing_keeps_the_network_of_a_trial_that_ended(make_trial, backend, tmp_path, monkeypatch, mode):
    networks = []
    built = TrainingLoop.__init__

    def noted(run, *arguments, **settings):
        built(run, *arguments, **settings)
        networks.append(weakref.ref(run._network))

    monkeypatch.setattr(TrainingLoop, "__init__", noted)
    train(make_trial(compile=mode, batch_size=1438, epochs=1), TrialFiles(tmp_path), device="cpu")
    assert networks[0]() is None
    assert bool(backend.ran) == (mode == "on")


@pytest.mark.parametrize("initialised", [False, True])
@pytest.mark.slow
def test_memory_of_the_gpu_is_returned_if_it_was_used(monkeypatch, initialised):
    calls = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: initialised)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append("empty_cache"))
    with pytest.raises(KeyError), compilation.released_memory("off"):
        raise KeyError
    assert calls == ["empty_cache"] * initialised


def test_cuda_graphs_with_accumulated_gradients_are_refused():
    with pytest.raises(SpecError, match=r"needs accumulation 1, but got accumulation=2.* Set `compile: on`") as refusal:
        Recipe(compile="cuda_graphs", accumulation=2)
    assert refusal.value.field == "compile"


def test_the_record_says_what_was_compiled(monkeypatch):
    from torch._dynamo.utils import counters

    gpu = torch.device("cuda")
    monkeypatch.setitem(counters, "inductor", {"cudagraph_skips": 0})
    assert [compilation.compiled_as(mode, gpu) for mode in ("off", "on", "cuda_graphs")] == ["off", "on", "cuda_graphs"]
    assert compilation.compiled_as("cuda_graphs", CPU) == "on"
    counters["inductor"]["cudagraph_skips"] = 3
    assert compilation.compiled_as("cuda_graphs", gpu) == "cuda_graphs, 3 graphs not captured"
