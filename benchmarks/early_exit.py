"""Benchmark of early-exit inference: saved time against saved multiply-adds, on one CPU core, batch sizes 1 and 128.

The network is ResNet-18 with random weights, 3x32x32 images and linear heads, so that the blocks dominate the cost. The
thresholds are calibrated on the timed images. The network with all exits and the early exits run in turn; each share
is the median over the rounds.
"""

import statistics
import time
from collections.abc import Callable

import torch
from exeunt.models import ArchitectureSpec, ExitSpec, build_network, exit_costs
from exeunt.models.early_exit.calibration import calibrate_to_budget
from exeunt.models.early_exit.inference import EarlyExit
from rows import report
from torch import Tensor

BUDGETS = (1.0, 0.75, 0.5, 0.35)
IMAGES = 128
ROUNDS = 5


def seconds(classify: Callable[[Tensor], object], batches: tuple[Tensor, ...]) -> float:
    """Return the time of all batches in seconds."""
    started = time.perf_counter()
    for batch in batches:
        classify(batch)
    return time.perf_counter() - started


def main() -> None:
    """Measure and report."""
    torch.set_num_threads(1)  # otherwise the load of the second core dominates the measurement
    shape, name = (3, 32, 32), "resnet18"
    exits = ExitSpec(placement="block1,block2,block3,block4,block5,block6,block7", head="linear")
    network = build_network(ArchitectureSpec(name=name), exits, image_shape=shape, classes=100, seed=0).eval()
    images = torch.randn(IMAGES, *shape, generator=torch.Generator().manual_seed(0))
    whole = torch.inference_mode()(network)
    with torch.inference_mode():
        logits = torch.stack(network(images).logits)
    costs = [cost.cumulative_multiply_adds for cost in exit_costs(network, shape)]
    labels = logits[-1].argmax(1)  # with random weights, a prediction is correct if it agrees with the final exit
    points = [calibrate_to_budget(logits, labels, costs, share * costs[-1], "max_probability") for share in BUDGETS]
    runs = [whole, *(EarlyExit(network, point.criterion, point.thresholds) for point in points)]
    for size in (1, 128):
        rounds = [[seconds(run, images.split(size)) for run in runs] for _ in range(1 + ROUNDS)][1:]
        for number, (budget, point) in enumerate(zip(BUDGETS, points, strict=True), start=1):
            time_share = statistics.median(times[number] / times[0] for times in rounds)
            cost_share = point.cost / costs[-1]
            title = f"early exit: {name}, batch {size}, budget {budget:.0%}, multiply-adds {cost_share:.1%}"
            report(f"{title}: wall-clock", 100 * time_share, "% of all exits'", ratio=time_share / cost_share)


if __name__ == "__main__":
    main()
