"""Detection of values that are not finite, before they change a weight and without waiting for the device."""

import math

import torch
from torch import Tensor


class TrainingDiverged(Exception):
    """A loss term or a gradient is no longer finite."""

    def __init__(self, step: int, values: dict[str, float]) -> None:
        """Describe the values of a step, which is counted from 0."""
        self.step = step
        culprits = [name for name, value in values.items() if not math.isfinite(value)]
        all_values = ", ".join(f"{name} {value:g}" for name, value in values.items())
        super().__init__(f"{' and '.join(culprits)} not finite ({all_values})")


class NonFiniteDetector:
    """Detector of values that are not finite, on the device, where it prevents further weight changes.

    The host detects the event a few steps later on a GPU, and immediately on a CPU.
    """

    def __init__(self, device: torch.device, *, alone: bool = True) -> None:
        """Start before the first step.

        On GPUs, several processes see the same values but detect the event at different steps. With `alone=False` they
        stop together, at a `check`.
        """
        self._prompt = alone or device.type == "cpu"
        self.step = 0
        """Number of checked steps, over all epochs."""
        self.broken = torch.zeros((), device=device)
        """Flag on the device: 1 from the first step that was not finite, 0 before it."""
        self._broken_steps = torch.zeros((), device=device)
        self._names: tuple[str, ...] = ()
        self._values = torch.zeros(0, device=device)  # of the first step that was not finite, or of the last step
        # Copied asynchronously: the host reads a value that is a few steps old, which only changes from 0 to 1.
        self._broken_on_host = torch.zeros((), pin_memory=device.type == "cuda")

    def look(self, names: tuple[str, ...], values: Tensor) -> None:
        """Check the values (n,) of a step. Raise `TrainingDiverged` once the host detects one that was not finite."""
        if names != self._names:
            self._names, self._values = names, values.clone()
        self.step += 1
        torch.where(self.broken > 0, self._values, values, out=self._values)
        self.broken.logical_or_((values * 0).sum())  # 0, or nan, which counts as true
        self._broken_steps += self.broken
        self._broken_on_host.copy_(self.broken, non_blocking=True)
        if self._prompt and self._broken_on_host:
            self.check()

    def check(self) -> None:
        """Wait for the device, and raise `TrainingDiverged` if a step was not finite."""
        if self.broken:
            first = self.step - int(self._broken_steps)
            raise TrainingDiverged(first, dict(zip(self._names, self._values.tolist(), strict=True)))
