"""Random augmentation of training batches: random choices on the CPU, then their application on the device."""

from .augmentation import Augmentation, Draws, normalise

__all__ = ["Augmentation", "Draws", "normalise"]
