"""Random augmentation of training batches: random choices on the CPU, then their application on the device."""

from .augmentation import Augmentation, Draws, normalise, on_device

__all__ = ["Augmentation", "Draws", "normalise", "on_device"]
