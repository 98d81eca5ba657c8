"""Benchmark of each method's loss in a training step of resnet18: 4 exits, batch size 128, 100 classes, on the CPU.

The teacher of a method is a resnet18 too. `crd` has the labels of 50,000 images.
"""

import statistics
import time

import torch
from exeunt.losses import EED, Loss, LossInputs, Method, NetworkShape, methods
from exeunt.models import ArchitectureSpec, ExitOutputs, ExitSpec, build_network
from rows import report
from torch import Tensor

BATCH, CLASSES, SHAPE = 128, 100, (3, 32, 32)
STEPS = 3
REPEATS = 5
IMAGES = 50_000
OUTPUTS = ("logits", "features", "feature_maps", "stage_maps", "second_view_logits")


def network_seconds(placement: str) -> tuple[float, ExitOutputs]:
    """Return the seconds of a forward and a backward pass of the network, and its outputs."""
    exits = ExitSpec(placement=placement)
    network = build_network(ArchitectureSpec(name="resnet18"), exits, image_shape=SHAPE, classes=CLASSES, seed=0)
    images, seconds = torch.randn(BATCH, *SHAPE), []
    outputs = network(images)
    for _ in range(STEPS):
        started = time.perf_counter()
        outputs = network(images)
        torch.stack([z.sum() for z in outputs.logits]).sum().backward()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), ExitOutputs(*(tuple(t.detach() for t in tensors) for tensors in outputs))


def inputs_for(method: Method, outputs: ExitOutputs) -> LossInputs:
    """Return the inputs of a loss as leaves; those of the teacher are the network's own, in another order."""

    def leaves(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(tensor.clone().requires_grad_() for tensor in tensors * (2 if method.cohort else 1))

    logits, maps = outputs.logits[-1].flip(0), tuple(stage.flip(0) for stage in outputs.stages)
    return LossInputs(
        logits=leaves(outputs.logits),
        features=leaves(outputs.features),
        labels=torch.randint(0, CLASSES, (BATCH,)),
        progress=0.5,
        feature_maps=leaves(outputs.maps),
        stage_maps=leaves(outputs.stages),
        teacher_logits=logits,
        teacher_stage_maps=maps,
        teacher_features=outputs.features[-1].flip(0),
        previous_epoch_logits=logits,
        same_class_logits=logits,
        image_numbers=torch.randperm(IMAGES)[:BATCH],
        second_view_logits=leaves(outputs.logits),
        second_view_teacher_logits=logits,
    )


def loss_seconds(loss: Loss, inputs: LossInputs) -> float:
    """Return the seconds of a forward and a backward pass of the loss, after one warm-up."""
    seconds = []
    for _ in range(1 + REPEATS):
        started = time.perf_counter()
        torch.stack(list(loss(inputs).values())).sum().backward()
        seconds.append(time.perf_counter() - started)
        for name in OUTPUTS:
            for tensor in getattr(inputs, name):
                tensor.grad = None
    return statistics.median(seconds[1:])


def main() -> None:
    """Measure and report the loss of each method."""
    measured = {placement: network_seconds(placement) for placement in ("none", "all")}
    others = (methods[name]() for name in methods if name != "eed")
    for method in (EED(output_loss="mse"), EED(output_loss="kl"), *others):
        seconds, outputs = measured["all" if method.exits == "required" else "none"]
        inputs = inputs_for(method, outputs)
        channels = tuple(stage.shape[1] for stage in outputs.stages)
        shape = NetworkShape(
            exits=len(inputs.logits),
            classes=CLASSES,
            feature_dim=outputs.features[-1].shape[1],
            stage_channels=channels,
            teacher_stage_channels=() if method.teacher == "ignored" else channels,
            teacher_feature_dim=outputs.features[-1].shape[1],
            exit_costs=tuple((i + 1) / len(inputs.logits) for i in range(len(inputs.logits))),
            image_labels=torch.randint(0, CLASSES, (IMAGES,)),
        )
        in_loss = loss_seconds(method.build(shape), inputs)
        output = f" {method.output_loss}" if isinstance(method, EED) else ""
        name = f"loss: {method.name}{output} on resnet18, batch 128, beside the network's own time"
        report(name, 1000 * in_loss, "ms", ratio=in_loss / seconds)


if __name__ == "__main__":
    main()
