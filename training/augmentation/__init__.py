"""Random augmentation of training batches: random choices on the CPU, then their application on the device."""

from typing import TYPE_CHECKING

from ...specs.lazy import lazy_exports
from .augmentation import Augmentation, Draws, normalise

if TYPE_CHECKING:
    from .operations import on_device

__getattr__, __dir__ = lazy_exports(__name__, {"on_device": ".operations"})

__all__ = ["Augmentation", "Draws", "normalise", "on_device"]
