"""What one training step computes: the networks' outputs, and the loss of them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..losses import LossInputs
from ..models import ExitOutputs
from .environment import Precision


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What a training step is given."""

    numbers: Tensor
    """(N,) of the images in the training set, on the device."""
    inputs: Tensor
    """(N, C, H, W) float, normalised and augmented."""
    labels: Tensor
    """(N,) class numbers, or (N, classes) probabilities where images are mixed."""
    weight: float
    """Of its mean loss, so that the gradients that are added or averaged are those of the whole step's mean."""
    pairs: Tensor | None = None
    """(N, C, H, W): for each image another one of its class, for methods that need them."""


class TrainingStep(nn.Module):
    """The network that is trained, what it learns from, and the loss between them."""

    def __init__(
        self, network: nn.Module, loss: nn.Module, teacher: nn.Module | None, precision: Precision, device: torch.device
    ) -> None:
        """Of a network on the device; the teacher, if there is one, is neither trained nor part of the state."""
        super().__init__()
        self.network = network
        self.loss = loss
        self._teacher = [teacher] if teacher is not None else []  # in a list it is no sub-module
        self._autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")

    def forward(
        self, batch: Batch, progress: float, previous_epoch_logits: Tensor | None
    ) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        """The named loss terms, and the logits (N, C) of each exit."""
        outputs = self.outputs(batch.inputs)
        teacher, same_class_logits = None, None
        with torch.no_grad():
            if self._teacher:
                with self._autocast:
                    teacher: ExitOutputs | None = self._teacher[0](batch.inputs)
            if batch.pairs is not None:
                same_class_logits = self.outputs(batch.pairs).logits[-1]
        inputs = LossInputs(
            logits=outputs.logits,
            features=outputs.features,
            labels=batch.labels,
            progress=progress,
            feature_maps=outputs.maps,
            stage_maps=outputs.stages,
            teacher_logits=teacher.logits[-1] if teacher else None,
            teacher_stage_maps=teacher.stages if teacher else (),
            previous_epoch_logits=previous_epoch_logits,
            same_class_logits=same_class_logits,
        )
        return self.loss(inputs), outputs.logits

    def outputs(self, inputs: Tensor) -> ExitOutputs:
        """What the network says of inputs (N, C, H, W)."""
        with self._autocast:
            return self.network(inputs)
