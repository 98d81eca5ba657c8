"""Stage `sharing`: throughput and memory of several trainings that share the GPU."""

import functools
import itertools
import multiprocessing
import time
from multiprocessing.synchronize import Barrier

import torch

from ..processes import in_processes
from ..settings import Notes, Settings
from ..training import loop_of, numerics, steps, synchronize, trial

PATIENCE_S = 100
"""Seconds after which a process no longer waits for one that has failed."""
HEAD_ROOM = 1.2
"""Bytes that `gpu: auto` reserves for a process, per byte that a process alone on the GPU needs."""


def run(settings: Settings, notes: Notes) -> None:
    """Train 1, 2, 4 and 8 networks at the same time, and compare their memory with the assumption."""
    alone = None
    for count in settings.size((1, 2, 4, 8), (1, 2)):
        barrier = multiprocessing.get_context("fork").Barrier(count, timeout=PATIENCE_S)
        found = in_processes([functools.partial(_trained, settings, barrier, number == 0) for number in range(count)])
        speed = sum(images for images, _, _ in found)
        peak = max(peak for _, peak, _ in found)
        footprint = max(used for _, _, used in found) / count
        alone = footprint if alone is None else alone
        assumed = HEAD_ROOM * alone
        notes.note(
            f"{count} process{'es' if count > 1 else ''}",
            passed=footprint <= assumed,
            images_per_second=speed,
            peak_mib=peak / 2**20,
            footprint_mib=footprint / 2**20,
            assumed_mib=assumed / 2**20,
        )


def _trained(settings: Settings, barrier: Barrier, measures: bool) -> tuple[float, int, int]:
    """Return images per second, the peak of this process's tensors, and the bytes in use on the whole GPU."""
    numerics(tf32=True)
    cuda = settings.device.type == "cuda"
    spec = trial(settings, precision="auto")
    running = steps(loop_of(spec, settings.device))
    for _ in itertools.islice(running, settings.size(20, 1)):
        pass
    synchronize(settings.device)
    barrier.wait()
    done, started, seconds = 0, time.perf_counter(), settings.size(5.0, 0.2)
    while time.perf_counter() - started < seconds:
        for _ in itertools.islice(running, settings.size(20, 1)):
            done += 1
        synchronize(settings.device)
    speed = done * spec.recipe.batch_size / (time.perf_counter() - started)
    free, total = torch.cuda.mem_get_info() if cuda else (0, 0)
    barrier.wait()
    peak = torch.cuda.max_memory_allocated() if cuda else 0
    return speed, peak, total - free if measures else 0
