"""What is done to training images at random, a batch at a time on the device: drawn apart, then applied."""

from .augmentation import Augmentation, Draws, normalise, on_device

__all__ = ["Augmentation", "Draws", "normalise", "on_device"]
