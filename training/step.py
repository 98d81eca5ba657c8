"""Computation of one training step: the outputs of the networks, and their loss."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..losses import LossInputs
from ..models import ExitOutputs
from ..specs.user_code import described, user_code
from .environment import Precision
from .loss_terms import checked_terms, loss_code, passes, received


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Inputs of a training step."""

    numbers: Tensor
    """Indices (N,) of the images in the training set, on the device."""
    inputs: Tensor
    """Network inputs (N, C, H, W) float, normalised and augmented."""
    labels: Tensor
    """Class indices (N,), or probabilities (N, classes) if images are mixed."""
    weight: float
    """Factor of the mean loss, with which summed or averaged gradients are those of the whole step's mean loss."""
    pairs: Tensor | None = None
    """An image of the same class for each image, (N, C, H, W); None if the method does not need it."""
    second_view: Tensor | None = None
    """Another augmentation of each image, (N, C, H, W); None if the method does not need it."""

    @property
    def passes(self) -> int:
        """Number of forward passes of the trained network."""
        return 1 + (self.pairs is not None) + (self.second_view is not None)


class TrainingStep(nn.Module):
    """The trained network, its teacher if any, and its loss."""

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        teacher: nn.Module | None,
        precision: Precision,
        device: torch.device,
        code: Sequence[object] = (),
    ) -> None:
        """Combine the modules on the device; the teacher is neither trained nor part of the state.

        Args:
            network: Trained network.
            loss: Loss of the method.
            teacher: Teacher, if any.
            precision: Precision of the forward passes.
            device: Device of the modules.
            code: Functions and classes that built the network, for messages.
        """
        super().__init__()
        self.network = network
        self.loss = loss
        self._code = tuple(code)
        self._teacher = [teacher] if teacher is not None else []  # a list, so that it is not a submodule
        self._autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")

    def forward(
        self, batch: Batch, progress: Tensor, previous_epoch_logits: Tensor | None
    ) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        """Return the named loss terms, and the logits (N, C) of each exit."""
        outputs, teacher = self.outputs(batch.inputs), self._taught(batch.inputs)
        with torch.no_grad():
            same_class_logits = None if batch.pairs is None else self.outputs(batch.pairs).logits[-1]
        second, second_teacher = None, None
        if batch.second_view is not None:
            second, second_teacher = self.outputs(batch.second_view), self._taught(batch.second_view)
        inputs = LossInputs(
            logits=outputs.logits,
            features=outputs.features,
            labels=batch.labels,
            progress=progress,
            feature_maps=outputs.maps,
            stage_maps=outputs.stages,
            teacher_logits=teacher.logits[-1] if teacher else None,
            teacher_stage_maps=teacher.stages if teacher else (),
            teacher_features=teacher.features[-1] if teacher else None,
            previous_epoch_logits=previous_epoch_logits,
            same_class_logits=same_class_logits,
            image_numbers=batch.numbers,
            second_view_logits=second.logits if second else (),
            second_view_teacher_logits=second_teacher.logits[-1] if second_teacher else None,
        )
        name, code = loss_code(self.loss)
        with user_code(
            f"the loss of method {name!r}", code, received=lambda line: received(inputs, line), unless=passes
        ):
            terms = self.loss(inputs)
        return checked_terms(terms, outputs.logits, name, code), outputs.logits

    @torch.no_grad()
    def _taught(self, inputs: Tensor) -> ExitOutputs | None:
        if not self._teacher:
            return None
        with self._autocast:
            return self._teacher[0](inputs)

    def outputs(self, inputs: Tensor) -> ExitOutputs:
        """Return the outputs of the network for inputs (N, C, H, W)."""

        def about(_: str) -> str:
            return f"It received images {described(inputs)}."

        with user_code("the network", *self._code, received=about, unless=passes), self._autocast:
            return self.network(inputs)
