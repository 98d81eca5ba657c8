"""Compilation of networks by `torch.compile`, whose graphs belong to the process and outlive a trial."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn

from .trial import TrialSpec

Compilation = Literal["off", "on", "cuda_graphs"]

RECOMPILE_LIMIT = 64
"""Maximum number of graphs of one network: one for each size of a batch, in training and in evaluation.

PyTorch's limit of 8 is too small for several sizes with a teacher. A trial needs fewer than 30.
"""
_graphs_of: list[object] = []  # description of the network whose graphs this process holds; empty or one item


@contextmanager
def compilation(trial: TrialSpec, *, processes: int) -> Iterator[None]:
    """Compile the networks of a trial inside the context; a network that cannot be compiled again is an error.

    Trials of one network, such as its seeds, share their graphs. The graphs of another network are removed first,
    because all networks share PyTorch's limit of graphs, beyond which it would run them without compilation.
    """
    if trial.recipe.compile == "off":
        yield
        return
    import torch._dynamo  # noqa: PLC0415 (takes 1.5 s and 80 MB)

    network = _description(trial, processes)
    if _graphs_of != [network]:
        torch.compiler.reset()
        _graphs_of[:] = [network]
    with torch._dynamo.config.patch(recompile_limit=RECOMPILE_LIMIT, fail_on_recompile_limit_hit=True):
        yield


def compile_networks(mode: Compilation, student: nn.Module, *others: nn.Module | None) -> None:
    """Compile the student, and the networks beside it without CUDA graphs, since their outputs outlive a replay.

    Each size of a batch has its own graph: with dynamic shapes, full batches would leave their graph after one epoch.
    """
    if mode == "off":
        return
    student.compile(mode="reduce-overhead" if mode == "cuda_graphs" else "default", dynamic=False)
    for network in filter(None, others):
        network.compile(mode="default", dynamic=False)


def compiled_as(mode: Compilation, device: torch.device) -> str:
    """Return the compilation that ran, for the record: without a GPU there are no CUDA graphs."""
    if mode != "cuda_graphs":
        return mode
    from torch._dynamo.utils import counters  # noqa: PLC0415

    if device.type != "cuda":
        return "on"
    skipped = counters["inductor"]["cudagraph_skips"]
    return f"cuda_graphs, {skipped} graphs not captured" if skipped else mode


@contextmanager
def released_memory(mode: Compilation) -> Iterator[None]:
    """Return the memory of a trial to the device at the end: its networks, and the blocks that the allocator keeps."""
    try:
        yield
    finally:
        if mode != "off" or torch.cuda.is_initialized():
            gc.collect()  # a compiled network is part of a reference cycle
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def _description(trial: TrialSpec, processes: int) -> object:
    """Return everything that the graphs of a trial depend on."""
    recipe, teacher = trial.recipe, trial.teacher
    return (
        trial.dataset,
        trial.architecture,
        trial.exits if trial.method.exits != "ignored" else None,
        trial.exit_count if trial.method.cohort else 1,
        teacher and (teacher.architecture, getattr(teacher, "exits", None)),
        (recipe.batch_size, recipe.accumulation, recipe.precision, recipe.compile, recipe.sync_batch_norm),
        recipe.deterministic,
        trial.validation,
        processes,
    )
