"""Stage `graphs`: compiled networks and CUDA graphs beside eager ones, and several compiled networks in one process."""

import math
import shutil
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
SUBSET = "noise@5.9%"
"""240 images: three batches of 80 images."""
LITTLE = 1e-3
"""Allowed relative difference of a loss after 30 steps in float32: compiled code adds in another order."""
GROWTH = 1.2
"""Largest reserved memory after a trial, relative to that after the first trial."""
LATE = 0.7
"""Part of the stage's time after which the larger network is left out, since its compilation takes long."""


def run(settings: Settings, notes: Notes) -> None:
    """Compare losses, count compiled calls of several trials, and record the memory that remains after each."""
    numerics(tf32=False)
    with _compiler(settings):
        for accumulation in settings.size((1, 2), (1,)):
            _beside_eager(settings, notes, "resnet8", accumulation)
        _in_one_process(settings, notes)
        for architecture in settings.size(("resnet20",), ()):
            if notes.used() > LATE:
                notes.note(architecture, reason="left out, since little time is left")
            else:
                _beside_eager(settings, notes, architecture, accumulation=1)


def _beside_eager(settings: Settings, notes: Notes, architecture: str, accumulation: int) -> None:
    count = settings.size(30, 6)

    def found(compiled: str) -> list[float]:
        spec = _trial(settings, architecture, compiled, accumulation=accumulation)
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


def _in_one_process(settings: Settings, notes: Notes) -> None:
    """Train networks one after another in this process, as a worker does; the first has a smaller last batch."""
    mode = settings.size("cuda_graphs", "on")
    reserved: list[int] = []
    for number, placement in enumerate(("all", "1", "all")[: settings.size(3, 1)]):
        images, batch = settings.size((240, 96 if number == 0 else 80), (20, 8 if number == 0 else 10))
        spec = _trial(settings, "resnet8", mode, placement=placement, batch_size=batch, epochs=2)
        calls, steps = _compiled_calls(settings, spec, number), 2 * math.ceil(images / batch)
        reserved.append(torch.cuda.memory_reserved() if settings.device.type == "cuda" else 0)
        flat = reserved[-1] <= GROWTH * reserved[0]
        values = {"compiled_calls": calls, "steps": steps, "reserved_mib": reserved[-1] >> 20}
        notes.note(f"trial {number + 1}, exits {placement}", passed=calls >= steps and flat, **values)


def _trial(settings: Settings, architecture: str, compiled: str, **recipe: Any) -> TrialSpec:
    recipe = {"batch_size": settings.size(80, 10), "precision": "fp32", "compile": compiled, **recipe}
    return trial(settings, architecture=architecture, dataset=SUBSET, **recipe)


def _compiled_calls(settings: Settings, spec: TrialSpec, number: int) -> int:
    """Train a trial to its end and return how often compiled code was called."""
    folder = settings.out / "graphs" / str(number)
    shutil.rmtree(folder, ignore_errors=True)  # a result of an earlier check would be returned
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        train(spec, TrialFiles(folder), device=settings.device.type)
    return sum(event.count for event in profiler.key_averages() if event.key.startswith(REGION))


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
