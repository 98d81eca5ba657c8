"""Stage `speed`: images per second, host and device time of a step, evaluation, memory, and the authors' loop."""

import functools
import os
import sys
import time
from pathlib import Path

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from ..settings import Notes, Settings, described
from ..training import loop_of, numerics, synchronize, timed, trial

sys.path.append(str(Path(__file__).resolve().parents[2]))

RATIO = 1.5
"""Smallest throughput that passes, relative to the authors' loop."""


def run(settings: Settings, notes: Notes) -> None:
    """Measure each network eager, compiled and with CUDA graphs, and the authors' loop if there is a checkout."""
    numerics(tf32=True)
    architectures = settings.size(("resnet18", "resnet20"), ("resnet8",))
    ours, theirs = 0.0, 0.0
    for compiled in settings.size(("off", "cuda_graphs", "on"), ("off",)):
        for architecture in architectures:
            try:
                speed = _measured(settings, notes, architecture, compiled)
            except Exception as error:  # the other networks and modes are still measured
                notes.note(f"{architecture}, compile: {compiled}", passed=False, error=described(error))
                continue
            if architecture == architectures[0]:
                ours = max(ours, speed)
        if compiled == "off" and settings.reference is not None:
            theirs = _authors(settings, notes)
    if theirs:
        notes.note("beside the authors' loop", passed=ours >= settings.size(RATIO, 0.0) * theirs, ratio=ours / theirs)


def _measured(settings: Settings, notes: Notes, architecture: str, compiled: str) -> float:
    """Return images per second, after noting all measurements of one network."""
    device, cuda = settings.device, settings.device.type == "cuda"
    recipe = {"batch_size": settings.size(128, 5), "epochs": 1, "precision": "auto", "compile": compiled}
    spec = trial(settings, architecture=architecture, dataset="much_noise", **recipe)  # type: ignore[arg-type]
    loop = loop_of(spec, device)
    running, batch = loop.train_epoch(), spec.recipe.batch_size
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    timed(running, settings.size(20, 1), device)
    blocks = [timed(running, settings.size(60, 1), device) for _ in range(settings.size(3, 1))]
    host, step = min(blocks, key=lambda block: block[1])
    kernels, busy = _kernels(functools.partial(next, running), device, settings.size(5, 1))
    for _ in running:
        pass
    synchronize(device)
    started = time.perf_counter()
    loop.finish_epoch()
    synchronize(device)
    values: dict[str, object] = {
        "images_per_second": batch / step,
        "step_ms": 1e3 * step,
        "host_ms": 1e3 * host,
        "device_ms": 1e3 * busy,
        "busy_percent": 100 * busy / step,
        "kernels": kernels,
        "evaluation_ms": 1e3 * (time.perf_counter() - started),
    }
    if cuda:
        free, total = torch.cuda.mem_get_info()
        values |= {
            "allocated_mib": torch.cuda.max_memory_allocated() >> 20,
            "reserved_mib": torch.cuda.memory_reserved() >> 20,
            "device_mib": (total - free) >> 20,
        }
    notes.note(f"{architecture}, compile: {compiled}", **values)
    return batch / step


def _kernels(step: functools.partial[object], device: torch.device, count: int) -> tuple[float, float]:
    """Return the kernels per step, and the seconds per step in which they compute; on a CPU, of the operators."""
    cuda = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as profiler:
        for _ in range(count):
            step()
        synchronize(device)
    kind = DeviceType.CUDA if cuda else DeviceType.CPU
    events = [event for event in profiler.key_averages() if event.device_type == kind]
    microseconds = sum(event.self_device_time_total if cuda else event.self_cpu_time_total for event in events)
    return sum(event.count for event in events) / count, microseconds / 1e6 / count


def _authors(settings: Settings, notes: Notes) -> float:
    """Return images per second of the authors' loop on their resnet18, after noting throughput and latency."""
    from authors import AuthorsProgram  # noqa: PLC0415 (found beside accelerator.py)

    assert settings.reference is not None
    workers, batch = settings.size(min(8, os.cpu_count() or 1), 0), 128
    images = torch.rand(settings.size(50_000, 1_000), 3, 32, 32)
    labels = torch.arange(len(images)) % 100

    def batches(_: object) -> torch.utils.data.DataLoader[tuple[torch.Tensor, ...]]:
        data = torch.utils.data.TensorDataset(images, labels)
        return torch.utils.data.DataLoader(data, batch, shuffle=True, num_workers=workers, pin_memory=True)

    program = AuthorsProgram(settings.reference, batches)  # type: ignore[arg-type]

    def steps():  # noqa: ANN202
        while True:
            yield program.step()

    running = steps()
    timed(running, settings.size(10, 1), settings.device)
    _, step = timed(running, settings.size(100, 1), settings.device)
    single = [timed(running, 1, settings.device)[1] for _ in range(settings.size(20, 1))]
    program.stop()
    notes.note("the authors' resnet18", images_per_second=batch / step, step_ms=1e3 * step)
    notes.note("the same, waiting after each step", step_ms=1e3 * sum(single) / len(single))
    return batch / step
