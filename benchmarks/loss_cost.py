"""What EED's loss adds to a training step of resnet18: 4 exits, batch 128, 100 classes, on the processor."""

import statistics
import time

import torch
from exeunt.losses import EED, LossInputs, NetworkShape
from exeunt.models import ArchitectureSpec, ExitSpec, build_network
from rows import report

BATCH, CLASSES, SHAPE = 128, 100, (3, 32, 32)
STEPS = 3


def seconds(action) -> float:  # noqa: ANN001
    """How long an action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def main() -> None:
    """Alternates a network's forward and backward pass with the loss's own, both from the same outputs."""
    exits = ExitSpec(placement="all")
    network = build_network(ArchitectureSpec(name="resnet18"), exits, image_shape=SHAPE, classes=CLASSES, seed=0)
    images, labels = torch.randn(BATCH, *SHAPE), torch.randint(0, CLASSES, (BATCH,))
    spec = NetworkShape(exits=4, classes=CLASSES, width=network.trunk.width)
    for output_loss in ("mse", "kl"):
        loss = EED(output_loss=output_loss).build(spec)
        of_network, of_loss = [], []
        for step in range(1 + STEPS):
            started = time.perf_counter()
            outputs = network(images)
            forward = time.perf_counter() - started
            leaves = [tensor.detach().requires_grad_() for tensor in (*outputs.logits, *outputs.features)]
            inputs = LossInputs(logits=tuple(leaves[:4]), features=tuple(leaves[4:]), labels=labels)
            repeated = [seconds(lambda: torch.stack(list(loss(inputs).values())).sum().backward()) for _ in range(10)]
            backward = seconds(
                lambda: torch.autograd.backward(
                    [*outputs.logits, *outputs.features], [leaf.grad / 10 for leaf in leaves]
                )
            )
            if step > 0:  # the first one warms up
                of_network.append(forward + backward)
                of_loss.append(statistics.median(repeated))
        share = statistics.median(of_loss) / statistics.median(of_network)
        report(f"loss: eed {output_loss} on resnet18, batch 128", 1000 * statistics.median(of_loss), "ms", ratio=share)


if __name__ == "__main__":
    main()
