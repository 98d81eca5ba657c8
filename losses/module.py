"""Modules that compute the loss of a method in a training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from ..specs import SpecError
from .method import LossInputs, NetworkShape

if TYPE_CHECKING:
    from .method import Method

Settings = TypeVar("Settings", bound="Method")


class Loss(nn.Module, ABC, Generic[Settings]):
    """Training objective of a method."""

    def __init__(self, settings: Settings, shape: NetworkShape) -> None:
        """Store the settings of the method; subclasses add the modules that depend on the shape."""
        super().__init__()
        del shape
        self.settings = settings

    @abstractmethod
    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the weighted loss terms by name, each a scalar; the trainer minimises their sum."""

    def exit_scores(self, logits: Sequence[Tensor]) -> Tensor | None:
        """Return scores (E - 1, N) by which images leave at exits; None to use the top-class probability."""
        del logits
        return None


class MethodLoss(Loss["Method"]):
    """Loss that its settings compute: the module holds the method's own modules, parameters and buffers."""

    def __init__(self, settings: Method, shape: NetworkShape) -> None:
        super().__init__(settings, shape)
        for name, value in settings.build_learned(shape).items():
            if isinstance(value, nn.Module):
                self.register_module(name, value)
            elif isinstance(value, nn.Parameter):
                self.register_parameter(name, value)
            else:
                self.register_buffer(name, value)

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the terms of `Method.loss`; in training mode, also set the buffers to their next values."""
        # The backward pass needs the buffers of this step, so the loss gets copies.
        buffers = {name: buffer.clone() for name, buffer in self.named_buffers(recurse=False)}
        learned = {**self._modules, **self._parameters, **buffers}
        terms = self.settings.loss(inputs, learned)
        if self.training:
            with torch.no_grad():
                for name, value in self.settings.next_buffers(inputs, learned).items():
                    self.get_buffer(name).copy_(value)
        return terms

    def exit_scores(self, logits: Sequence[Tensor]) -> Tensor | None:
        """Return the scores of `Method.exit_scores`."""
        learned = {**self._modules, **self._parameters, **dict(self.named_buffers(recurse=False))}
        return self.settings.exit_scores(list(logits), learned)


class NetworkLoss(nn.Module):
    """Loss of a method in a loop outside this package. Its parameters are trained with those of the network."""

    def __init__(self, loss: Loss[Any], teacher: nn.Module | None) -> None:
        super().__init__()
        self.loss = loss
        self._teacher = [] if teacher is None else [teacher.eval()]  # not a part of this module: it is not trained

    def forward(
        self, outputs: Any, labels: Tensor, *, progress: float = 0.0, images: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the weighted loss terms by name, each a scalar; minimise their sum.

        Args:
            outputs: What the network returned for N images.
            labels: Class indices (N,), or probabilities (N, C).
            progress: Number of the epoch, from 1, divided by the number of epochs.
            images: The images, for the teacher.

        Raises:
            SpecError: if the teacher needs the images.
        """
        inputs = {
            "logits": outputs.logits,
            "features": outputs.features,
            "feature_maps": outputs.maps,
            "stage_maps": outputs.stages,
            "labels": labels,
            "progress": progress,
        }
        for teacher in self._teacher:
            if images is None:
                raise SpecError("the teacher needs the images; call the loss with images=images.", field="teacher")
            with torch.no_grad():
                taught = teacher(images)
            inputs |= {
                "teacher_logits": taught.logits[-1],
                "teacher_stage_maps": taught.stages,
                "teacher_features": taught.features[-1],
            }
        return self.loss(LossInputs(**inputs))


def network_loss(method: Method, network: Any, teacher: Any = None) -> NetworkLoss:
    """Build the loss of a method for a network and its teacher, see `Method.build_for`."""
    trunk, exits = network.trunk, len(network.exit_blocks)
    if method.needs_more_than_outputs():
        message = f"{method.name} reads more than one network's outputs for a batch; train it with `exeunt sweep`"
        raise SpecError(f"{message}.", field="method")
    if method.exits == "required" and exits == 1:
        raise SpecError(f"{method.name} needs exits; attach some to the network first.", field="exits")
    if method.exits == "ignored" and exits > 1:
        raise SpecError(f"{method.name} trains no exits, but the network has {exits}; remove them.", field="exits")
    if (method.teacher != "ignored") != (teacher is not None):
        need = "has no teacher; leave it out" if teacher is not None else "needs a teacher: build_for(..., teacher=...)"
        raise SpecError(f"{method.name} {need}.", field="teacher")
    shape = NetworkShape(
        exits=exits,
        classes=trunk.classifier.out_features,
        feature_dim=trunk.width,
        stage_channels=_stage_channels(trunk),
        teacher_stage_channels=() if teacher is None else _stage_channels(teacher.trunk),
        teacher_feature_dim=0 if teacher is None else teacher.trunk.width,
    )
    return NetworkLoss(method.build(shape), teacher)


def _stage_channels(trunk: Any) -> tuple[int, ...]:
    return tuple(trunk.block(end).out_channels for end in trunk.stage_ends)
