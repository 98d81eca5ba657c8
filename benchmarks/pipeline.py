"""Benchmark of batch preparation relative to a training step of resnet18: 128 images of 3x32x32, precision `auto`."""

import statistics
import time
from collections.abc import Callable

import torch
from exeunt.models import ArchitectureSpec, ExitSpec, build_network
from exeunt.training.augmentation import Augmentation
from exeunt.training.augmentation.augmentation import draws_to_device
from exeunt.training.environment import choose_device, choose_precision
from rows import report
from torch.nn.functional import cross_entropy

BATCH, CLASSES, SHAPE = 128, 100, (3, 32, 32)
STEPS = 4
REPEATS = 20
AUGMENTATIONS = {
    "normalise": Augmentation(),
    "crop, flip": Augmentation(crop="pad", flip=True),
    "crop, flip, cutout": Augmentation(crop="pad", flip=True, cutout=16),
    "crop, flip, mixup": Augmentation(crop="pad", flip=True, mixup=1.0),
    "crop, flip, cutmix": Augmentation(crop="pad", flip=True, cutmix=1.0),
    "crop, flip, trivial_augment": Augmentation(crop="pad", flip=True, policy="trivial_augment"),
    "crop, flip, auto_augment": Augmentation(crop="pad", flip=True, policy="auto_augment"),
}


def seconds(work: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Return the median time of a function in seconds, after one warm-up call."""
    times = []
    for _ in range(1 + repeats):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def main() -> None:
    """Measure and report each augmentation."""
    device = choose_device("auto")
    bf16 = choose_precision("auto", device) == "bf16"
    architecture, exits = ArchitectureSpec(name="resnet18"), ExitSpec(placement="none")
    network = build_network(architecture, exits, image_shape=SHAPE, classes=CLASSES, seed=0)
    network = network.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    pixels = torch.randint(0, 256, (BATCH, *SHAPE), dtype=torch.uint8).to(device)
    labels = torch.randint(0, CLASSES, (BATCH,)).to(device)
    mean, std = torch.full((3,), 0.5, device=device), torch.full((3,), 0.25, device=device)
    generator = torch.Generator().manual_seed(0)

    def batch(augmentation: Augmentation) -> tuple[torch.Tensor, torch.Tensor]:
        (draws,) = draws_to_device([augmentation.draw(BATCH, SHAPE, generator)], device)
        return augmentation.apply(pixels, labels, draws, mean=mean, std=std, classes=CLASSES)

    inputs, _ = batch(Augmentation())

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits = network(inputs).logits[-1]
        cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    in_step = seconds(step, STEPS, device)
    for name, augmentation in AUGMENTATIONS.items():
        in_batch = seconds(lambda augmentation=augmentation: batch(augmentation), REPEATS, device)
        report(f"pipeline: {name}, batch 128, beside resnet18's step", 1000 * in_batch, "ms", ratio=in_batch / in_step)


if __name__ == "__main__":
    main()
