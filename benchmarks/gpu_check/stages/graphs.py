"""Stage `graphs`: compiled networks and CUDA graphs beside eager ones, and several compiled networks in one process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from exeunt.specs import SpecError
from exeunt.store import TrialFiles
from exeunt.training import TrialSpec, train
from torch import nn
from torch.profiler import ProfilerActivity, profile

from ..settings import Notes, Settings
from ..training import apart, loop_of, losses, numerics, trial

REGION = "Torch-Compiled Region"
"""Beginning of the profiler's name of a call of compiled code."""
SUBSET = "noise@6%"
"""Images of one class times 10: with batches of 96 images, two full batches and a smaller one."""
LITTLE = 1e-3
"""Allowed relative difference of a loss after 30 steps in float32: compiled code adds in another order."""
GROWTH = 1.2
"""Largest reserved memory after a trial, relative to that after the trial of the same kind before it."""


def run(settings: Settings, notes: Notes) -> None:
    """Compare losses, count compiled calls of three trials, and watch the memory that remains after each."""
    numerics(tf32=False)
    with _compiler(settings):
        _one_process(settings, notes)
        for architecture in settings.size(("resnet8", "resnet20"), ("resnet8",)):
            for accumulation in settings.size((1, 2), (1,)):
                _beside_eager(settings, notes, architecture, accumulation)


def _beside_eager(settings: Settings, notes: Notes, architecture: str, accumulation: int) -> None:
    count = settings.size(30, 6)

    def found(compiled: str) -> list[float]:
        recipe = {"compile": compiled, "accumulation": accumulation, "precision": "fp32", **_batches(settings)}
        spec = trial(settings, architecture=architecture, dataset=SUBSET, **recipe)  # type: ignore[arg-type]
        return losses(loop_of(spec, settings.device), count)

    eager = found("off")
    limit = 3 * max(apart(eager, found("off")), LITTLE)
    for compiled in settings.size(("on", "cuda_graphs"), ("on",)):
        name = f"{architecture}, compile: {compiled}, accumulation {accumulation}"
        try:
            difference = apart(found(compiled), eager)
        except SpecError as refused:
            notes.note(name, passed=True, refused=str(refused))
        else:
            notes.note(name, passed=difference <= limit, difference=difference, limit=limit)


def _one_process(settings: Settings, notes: Notes) -> None:
    """Train different networks one after another in this process, as a worker does."""
    reserved: list[int] = []
    for number, placement in enumerate(("all", "1", "2", "all")[: settings.size(4, 2)]):
        mode = settings.size("cuda_graphs", "on")
        recipe = {"compile": mode, "precision": "fp32", "epochs": 2, **_batches(settings)}
        spec = trial(settings, architecture="resnet8", dataset=SUBSET, placement=placement, **recipe)  # type: ignore[arg-type]
        calls = _compiled_calls(settings, spec, number)
        steps = sum(
            1 for _ in loop_of(spec.replace(recipe=spec.recipe.replace(compile="off")), settings.device).train_epoch()
        )
        reserved.append(torch.cuda.memory_reserved() if settings.device.type == "cuda" else 0)
        flat = reserved[-1] <= GROWTH * reserved[0]
        values = {"compiled_calls": calls, "steps": 2 * steps, "reserved_bytes": reserved[-1]}
        notes.note(f"trial {number + 1}, exits {placement}", passed=calls >= 2 * steps and flat, **values)


def _compiled_calls(settings: Settings, spec: TrialSpec, number: int) -> int:
    """Train a trial to its end and return how often compiled code was called."""
    files = TrialFiles(settings.out / "graphs" / str(number))
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        train(spec, files, device=settings.device.type)
    return sum(event.count for event in profiler.key_averages() if event.key.startswith(REGION))


def _batches(settings: Settings) -> dict[str, object]:
    return {"batch_size": settings.size(96, 10)}


@contextmanager
def _compiler(settings: Settings) -> Iterator[None]:
    """Let a rehearsal trace networks without generating code, which takes minutes on a CPU."""
    if not settings.rehearse:
        yield
        return
    real = nn.Module.compile

    def traced(module: nn.Module, **how: Any) -> None:
        real(module, backend="eager", dynamic=how.get("dynamic"))

    with mock.patch.object(nn.Module, "compile", traced):
        yield
