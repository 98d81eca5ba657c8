"""Trials and steps that the stages share."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from exeunt.losses import methods
from exeunt.models import ArchitectureSpec, ExitSpec
from exeunt.training import DatasetSpec, DataSource, Recipe, TrialSpec, build_student
from exeunt.training.distributed import ProcessGroup
from exeunt.training.loop import TrainingLoop
from exeunt.training.teacher import SourceWeights
from torch import Tensor

from .settings import Settings, helper

noise = helper("noise")
noise.register("noise")
noise.register("much_noise", train=32768, test=10_000)


def trial(
    settings: Settings,
    method: str = "eed",
    *,
    architecture: str = "resnet20",
    dataset: str = "noise",
    placement: str = "all",
    teacher: TrialSpec | None = None,
    **recipe: object,
) -> TrialSpec:
    """Return a trial of a method, with resnet8 and few images in a rehearsal."""
    chosen = methods[method]()
    return TrialSpec(
        dataset=DatasetSpec(name=settings.size(dataset, "noise@0.5%")),
        architecture=ArchitectureSpec(name=settings.size(architecture, "resnet8")),
        method=chosen,
        exits=ExitSpec(placement="none" if chosen.exits == "ignored" else placement),
        recipe=Recipe(**{"batch_size": settings.size(128, 10), "learning_rate": 0.01, **recipe}),  # type: ignore[arg-type]
        teacher=teacher,
    )


def loop_of(spec: TrialSpec, device: torch.device, teacher: Path | None = None) -> TrainingLoop:
    """Return the training loop of a trial. In several processes, each has its own."""
    weights = None if teacher is None else SourceWeights.read(teacher)
    return TrainingLoop(spec, device, weights, DataSource(), ProcessGroup.current())


def untrained_teacher(spec: TrialSpec, folder: Path) -> Path:
    """Write the initial weights of a teacher, and return their file."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(build_student(spec).state_dict(), folder / "teacher.pt")
    return folder / "teacher.pt"


def numerics(*, tf32: bool) -> None:
    """Set the numeric flags of this process: cuDNN chooses by measurement; fp32 is TF32 or IEEE."""
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.conv.fp32_precision = "tf32" if tf32 else "ieee"
    torch.backends.cuda.matmul.fp32_precision = "ieee"


def steps(loop: TrainingLoop) -> Iterator[dict[str, Tensor]]:
    """Train step by step, over the ends of epochs; yield the loss terms of each step."""
    while True:
        yield from loop.train_epoch()
        loop.finish_epoch()


def losses(loop: TrainingLoop, count: int) -> list[float]:
    """Train this number of steps and return their losses."""
    return [float(sum(terms.values())) for terms in itertools.islice(steps(loop), count)]


def apart(some: list[float], others: list[float]) -> float:
    """Return the largest relative difference of two lists of losses."""
    return max(abs(a - b) / max(abs(a), abs(b), 1e-12) for a, b in zip(some, others, strict=True))


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has completed everything; return at once for a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(running: Iterator[object], count: int, device: torch.device) -> tuple[float, float]:
    """Return the seconds per step of a block of steps: until the host, and until the device has completed them."""
    started = time.perf_counter()
    for _ in range(count):
        next(running)
    enqueued = time.perf_counter() - started
    synchronize(device)
    return enqueued / count, (time.perf_counter() - started) / count
