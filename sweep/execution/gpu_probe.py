"""Probe of a trial on a GPU that no other trial uses: memory and GPU time of a few steps, for `gpu: auto`.

`free_memory` and `busy_share` alone call CUDA.
"""

import time
from collections.abc import Callable, Iterator

import torch
from torch.profiler import ProfilerActivity, profile

from ...training import DataSource, TrialSpec
from ...training.distributed import ProcessGroup
from ...training.environment import training_conditions
from ...training.first_step import stand_in_teacher
from ...training.loop import TrainingLoop
from ...training.resource_usage import is_out_of_memory
from . import mps
from .gpu_packing import Footprint

WARM_UP_STEPS = 3
"""Unmeasured steps, in which cuDNN tries its algorithms."""
MEASURED_STEPS = 10
LIMIT_S = 10.0
"""Time after which a part of the probe trains no further step."""
CONTEXT_BYTES = 2**29
"""Assumed memory of a process's CUDA context. A process cannot measure it, because the measurement creates it."""
MOST_TRIALS = 8
"""Maximum number of trials per GPU. Kernels of different processes run by turns, so more trials share no idle time."""
MOST_TRIALS_WITH_MPS = 48
"""Maximum number of clients of NVIDIA's Multi-Process Service (MPS) per GPU, in most of its versions."""


def free_memory(device: torch.device) -> int:
    """Return the memory of a GPU that no process uses, in bytes."""
    return torch.cuda.mem_get_info(device)[0]


def busy_share(train: Callable[[], int], device: torch.device) -> float:
    """Return the share of the time in which kernels run on the GPU, from 0 to 1; 0 if it cannot be profiled.

    The steps are trained twice, because the profiler would slow down the steps whose time is measured. CUDA events
    would not do: between two of them, the time in which the GPU waits for the host counts too.

    Args:
        train: function that trains some steps and returns their number.
        device: GPU that they are trained on.
    """
    torch.cuda.synchronize(device)
    started = time.perf_counter()
    steps = train()
    torch.cuda.synchronize(device)
    seconds = (time.perf_counter() - started) / steps
    with profile(activities=[ProfilerActivity.CUDA]) as trace:
        steps = train()
        torch.cuda.synchronize(device)
    on_gpu = [event for event in trace.key_averages() if event.device_type.name == "CUDA"]
    microseconds = sum(event.self_device_time_total for event in on_gpu if not event.is_user_annotation)
    return min(1.0, microseconds / 1e6 / steps / seconds)


def probe(
    trial: TrialSpec,
    source: DataSource,
    device: torch.device,
    *,
    threads: int,
    free_memory: Callable[[torch.device], int] = free_memory,
    busy_share: Callable[[Callable[[], int], torch.device], float] = busy_share,
) -> Footprint:
    """Train a few steps of a trial, and return what it needs. A trial that does not fit needs the whole GPU.

    Args:
        trial: trial to probe; it writes no files.
        source: of the training images.
        device: GPU without other trials.
        threads: number of CPU threads.
        free_memory: function that measures the free memory of the device.
        busy_share: function that measures the share of the time in which the device is busy.
    """
    capacity = free_memory(device) + CONTEXT_BYTES  # the context of this process is already in use
    with training_conditions(trial.recipe, device, threads):
        try:
            steps = _steps(trial, source, device)
            _train(steps, WARM_UP_STEPS)
            torch.cuda.empty_cache()  # so that the algorithms that were tried do not count
            _train(steps, MEASURED_STEPS)
            memory = capacity - free_memory(device)
            busy = busy_share(lambda: _train(steps, MEASURED_STEPS), device)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            memory, busy = capacity, 1.0
    most = MOST_TRIALS_WITH_MPS if mps.is_reachable() else MOST_TRIALS
    return Footprint(memory=memory, capacity=capacity, busy=busy, most=most)


def _steps(trial: TrialSpec, source: DataSource, device: torch.device) -> Iterator[None]:
    """Train step by step without an end, with the evaluations between the epochs."""
    endless = trial.replace(recipe=trial.recipe.replace(epochs=trial.recipe.epochs + 1000))
    loop = TrainingLoop(endless, device, stand_in_teacher(trial), source, ProcessGroup())
    while True:
        for _ in loop.train_epoch():
            yield
        loop.finish_epoch()


def _train(steps: Iterator[None], most: int) -> int:
    """Train up to this number of steps, at least one and none after the time limit; return their number."""
    started = time.perf_counter()
    for number, _ in enumerate(steps, 1):
        if number == most or time.perf_counter() - started > LIMIT_S:
            return number
    return 0
