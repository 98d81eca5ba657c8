"""Stage `ddp`: one NCCL process, and two gloo processes on one GPU, beside one process on the same halves."""

import functools

import torch.distributed as dist

from ..processes import in_processes
from ..settings import Notes, Settings
from ..training import apart, loop_of, losses, numerics, trial

LIMIT = 1e-3
"""Largest relative difference of a loss."""


def run(settings: Settings, notes: Notes) -> None:
    """Compare the losses of a few steps."""
    for backend, count in ((settings.size("nccl", "gloo"), 1), ("gloo", 2)):
        (alone,) = in_processes([functools.partial(_losses, settings, accumulation=count)])
        meeting = settings.out / f"meeting-{count}"
        meeting.unlink(missing_ok=True)
        ranks = [
            functools.partial(_losses, settings, group=(backend, f"file://{meeting}", rank, count))
            for rank in range(count)
        ]
        found = in_processes(ranks)
        difference = max(apart(each, alone) for each in found)
        notes.note(
            f"{backend}, {count} process{'es' if count > 1 else ''}",
            passed=difference < LIMIT,
            difference=difference,
            limit=LIMIT,
        )


def _losses(
    settings: Settings, *, accumulation: int = 1, group: tuple[str, str, int, int] | None = None
) -> list[float]:
    numerics(tf32=False)
    if group is not None:
        backend, method, rank, count = group
        dist.init_process_group(backend, init_method=method, rank=rank, world_size=count)
    try:
        spec = trial(settings, precision="fp32", accumulation=accumulation)
        return losses(loop_of(spec, settings.device), settings.size(5, 2))
    finally:
        if group is not None:
            dist.destroy_process_group()
