"""Benchmark of EED's loss in a training step of resnet18: 4 exits, batch size 128, 100 classes, on the CPU."""

import statistics
import time

import torch
from exeunt.losses import EED, Loss, LossInputs, NetworkShape
from exeunt.models import ArchitectureSpec, ExitSpec, MultiExitNetwork, build_network
from rows import report
from torch import Tensor

BATCH, CLASSES, SHAPE = 128, 100, (3, 32, 32)
STEPS = 3
REPEATS = 10


def step(network: MultiExitNetwork, loss: Loss, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return the seconds of one training step in the network and in the loss, each forward and backward."""
    started = time.perf_counter()
    outputs = network(images)
    forward = time.perf_counter() - started
    leaves = [tensor.detach().requires_grad_() for tensor in (*outputs.logits, *outputs.features)]
    exits = len(outputs.logits)
    inputs = LossInputs(logits=tuple(leaves[:exits]), features=tuple(leaves[exits:]), labels=labels)
    in_loss = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        torch.stack(list(loss(inputs).values())).sum().backward()
        in_loss.append(time.perf_counter() - started)
    gradients = [leaf.grad / REPEATS for leaf in leaves if leaf.grad is not None]
    started = time.perf_counter()
    torch.autograd.backward([*outputs.logits, *outputs.features], gradients)
    return forward + time.perf_counter() - started, statistics.median(in_loss)


def main() -> None:
    """Measure and report both output losses, after one warm-up step."""
    exits = ExitSpec(placement="all")
    network = build_network(ArchitectureSpec(name="resnet18"), exits, image_shape=SHAPE, classes=CLASSES, seed=0)
    images, labels = torch.randn(BATCH, *SHAPE), torch.randint(0, CLASSES, (BATCH,))
    shape = NetworkShape(exits=4, classes=CLASSES, feature_dim=network.trunk.width)
    for output_loss in ("mse", "kl"):
        loss = EED(output_loss=output_loss).build(shape)
        steps = [step(network, loss, images, labels) for _ in range(1 + STEPS)][1:]
        in_network, in_loss = (statistics.median(seconds) for seconds in zip(*steps, strict=True))
        name = f"loss: eed {output_loss} on resnet18, batch 128, beside the network's own time"
        report(name, 1000 * in_loss, "ms", ratio=in_loss / in_network)


if __name__ == "__main__":
    main()
