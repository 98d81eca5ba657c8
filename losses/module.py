"""Modules that compute the loss of a method in a training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from .method import LossInputs, Method, NetworkShape

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
