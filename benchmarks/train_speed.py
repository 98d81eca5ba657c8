"""Benchmark of the training of EED's resnet18 against the authors' program, in turn in one process.

    python benchmarks/train_speed.py --reference DIR --data DIR [--agreement]

The first DIR is a checkout of github.com/hjdw2/Exit-Ensemble-Distillation at 146c9cf, the second is the directory of
CIFAR-100. Both programs train resnet18 with three exits on batches of 128 images, with crops and flips. Each
block of steps ends with one synchronisation, so that a program may prepare steps ahead of the GPU, as in training. With
--agreement both train the same network on the same batches in fp32 (with --double in float64), and their losses are
compared.
"""

import argparse
import functools
import statistics
import time
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from unittest import mock

import torch
from authors import AuthorsProgram
from exeunt.losses import EED
from exeunt.models import ArchitectureSpec, ExitSpec
from exeunt.training import DatasetSpec, DataSource, Recipe, TrialSpec, build_student
from exeunt.training.batches import TrainingBatches
from exeunt.training.distributed import ProcessGroup
from exeunt.training.environment import choose_device, training_conditions
from exeunt.training.loop import TrainingLoop
from rows import report
from torch import Tensor, nn

BATCH = 128
WARM_UP = 2
"""Steps of each program before the first measured block."""


def trial(**recipe: object) -> TrialSpec:
    """Return the authors' setting: EED with its defaults on resnet18 with all exits, for CIFAR-100."""
    return TrialSpec(
        dataset=DatasetSpec(name="cifar100"),
        architecture=ArchitectureSpec(name="resnet18"),
        method=EED(),
        exits=ExitSpec(placement="all"),
        recipe=Recipe(**recipe),  # type: ignore[arg-type]
        seed=1,
    )


class AsTheirs(nn.Module):
    """Exeunt's network with the outputs of the authors' network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the logits (N, 100) of the final exit and the others, then the features (N, 512) in the same order."""
        outputs = self.network(images)
        return tuple(
            exits[number] for exits in (outputs.logits, outputs.features) for number in (-1, *range(len(exits) - 1))
        )


def seconds_per_step(step: Callable[[], object], steps: int, device: torch.device) -> float:
    """Return the mean time of consecutive steps in seconds, until the device has completed all of them."""
    started = time.perf_counter()
    for _ in range(steps):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - started) / steps


def compare_speed(reference: Path, data: Path, blocks: int, steps: int, workers: int, precision: str) -> None:
    """Alternate blocks of steps of both programs; report images per second and their ratio."""
    device = choose_device("auto")
    spec = trial(precision=precision)

    def theirs_from(module: types.ModuleType) -> Iterable[tuple[Tensor, Tensor]]:
        return module.prepare_cifar100_train_dataset(data_dir=str(data), batch_size=BATCH, num_workers=workers)

    with training_conditions(spec.recipe, device, torch.get_num_threads()):
        theirs = AuthorsProgram(reference, theirs_from)
        run = TrainingLoop(spec, device, None, DataSource(directory=data), ProcessGroup())
        ours = run.train_epoch()
        times: list[tuple[float, float]] = []
        for block in range(1 + blocks):
            count = steps if block else WARM_UP
            pair = [seconds_per_step(step, count, device) for step in (theirs.step, lambda: next(ours))]
            times.append((pair[0], pair[1]))
            print(f"  theirs {pair[0]:.4f} s, ours {pair[1]:.4f} s per step", flush=True)
        theirs.stop()
    slow, fast = (statistics.median(column) for column in zip(*times[1:], strict=True))
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    report(f"training: the authors' program, resnet18 with 3 exits, batch 128, {where}", BATCH / slow, "images/s")
    report(
        f"training: ours in {run.precision}, resnet18 with 3 exits, batch 128, {where}",
        BATCH / fast,
        "images/s",
        ratio=slow / fast,
    )


def compare_losses(reference: Path, data: Path, steps: int, batch: int, dtype: torch.dtype) -> None:
    """Train one network in both loops and report the largest relative difference of their losses.

    Rounding errors grow from step to step, in particular at the authors' learning rate. A third training shows their
    size: it equals Exeunt's except for one weight, which is moved to the next floating-point number. Both programs use
    the same network in channels_last and PyTorch's fused SGD. In fp32 the other SGD implementations round about one
    bias in a hundred differently.
    """
    device = choose_device("auto")
    spec = trial(precision="fp32", batch_size=batch)
    source = DataSource(directory=data)
    images, _ = spec.dataset_facts.load(source)

    def in_type(network: nn.Module) -> nn.Module:
        network.register_forward_pre_hook(lambda _, inputs: (inputs[0].to(dtype),))
        return network.to(dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def same_batches(_: types.ModuleType) -> Iterator[tuple[Tensor, Tensor]]:
        batches = TrainingBatches(
            images, spec.dataset_facts, spec.recipe, seed=spec.seed, device=device, processes=ProcessGroup()
        )
        for (each,) in batches.steps(0, 0):
            yield each.inputs, each.labels

    with mock.patch("torch.optim.SGD", functools.partial(torch.optim.SGD, fused=True)):
        theirs = AuthorsProgram(reference, same_batches, lambda: AsTheirs(in_type(build_student(spec))))
    runs = [TrainingLoop(spec, device, None, source, ProcessGroup()) for _ in range(2)]
    for run in runs:
        in_type(run.trained_network)
    weight = next(runs[1].trained_network.parameters()).data[0, 0, 0]
    weight[0] = torch.nextafter(weight[0], weight[0] + 1)
    trainings = [run.train_epoch() for run in runs]
    largest = [0.0, 0.0]
    for step in range(steps):
        theirs.step()
        expected, *losses = theirs.losses[step], *(float(sum(next(training).values())) for training in trainings)
        differences = [abs(losses[0] - expected) / abs(expected), abs(losses[1] - losses[0]) / abs(losses[0])]
        largest = [max(pair) for pair in zip(largest, differences, strict=True)]
        said = f"theirs {expected:.8f}, ours {losses[0]:.8f}, apart {differences[0]:.1e}"
        print(f"  step {step + 1}: {said}; one weight moved {differences[1]:.1e}", flush=True)
    theirs.stop()
    name = f"training: losses of {steps} steps, batch {batch}, {str(dtype).removeprefix('torch.')}"
    report(f"{name}, beside the authors' loop", largest[0], "relative difference")
    report(f"{name}, beside ours with one weight moved by a rounding step", largest[1], "relative difference")


def main() -> None:
    """Run the comparison that the command line selects."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True, metavar="DIR", help="checkout of the authors' program")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="directory of CIFAR-100")
    parser.add_argument("--steps", type=int, default=10, help="number of steps in a block, or of compared losses")
    parser.add_argument("--blocks", type=int, default=3, help="number of measured blocks")
    parser.add_argument("--workers", type=int, default=0, help="worker processes of the authors' data loader")
    parser.add_argument(
        "--precision", choices=["auto", "fp32", "bf16"], default="auto", help="precision of Exeunt's step"
    )
    parser.add_argument("--agreement", action="store_true", help="comparison of losses instead of time")
    parser.add_argument("--batch", type=int, default=BATCH, help="batch size of the comparison of losses")
    parser.add_argument("--double", action="store_true", help="float64 instead of fp32 in the comparison of losses")
    chosen = parser.parse_args()
    if chosen.agreement:
        dtype = torch.float64 if chosen.double else torch.float32
        compare_losses(chosen.reference, chosen.data, chosen.steps, chosen.batch, dtype)
    else:
        compare_speed(chosen.reference, chosen.data, chosen.blocks, chosen.steps, chosen.workers, chosen.precision)


if __name__ == "__main__":
    main()
