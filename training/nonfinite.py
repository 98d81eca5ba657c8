"""Training that is no longer finite is noticed before it changes a weight, without waiting for the device."""

import math

import torch
from torch import Tensor


class TrainingDiverged(Exception):
    """A loss term or a gradient is no longer finite."""

    def __init__(self, step: int, values: dict[str, float]) -> None:
        """At the step with this number, counted from 0, whose values these were."""
        self.step = step
        culprits = [name for name, value in values.items() if not math.isfinite(value)]
        all_values = ", ".join(f"{name} {value:g}" for name, value in values.items())
        super().__init__(f"{' and '.join(culprits)} not finite ({all_values})")


class NonFiniteDetector:
    """Looks at each step's values on the device, where the decision falls to change no weight any more.

    The host learns of it a few steps later on an accelerator, and at once on a processor.
    """

    def __init__(self, device: torch.device, *, step: int = 0, alone: bool = True) -> None:
        """Before the step with this number.

        Several processes, which see the same values, learn of it at different steps on accelerators: not alone, they
        leave together, at a `check`.
        """
        self._prompt = alone or device.type == "cpu"
        self.broken = torch.zeros((), device=device)
        """1 from the first step on that was not finite, until then 0."""
        self._step = torch.full((), step, device=device)
        self._values: dict[str, Tensor] = {}
        # Copied without waiting: it is read as it was some steps ago, and can only change from 0 to 1.
        self._broken_on_host = torch.zeros((), pin_memory=device.type == "cuda")

    def look(self, values: dict[str, Tensor]) -> None:
        """Check a step's scalars. Raises `TrainingDiverged` once the host has seen a step that was not finite."""
        finite = torch.isfinite(torch.stack(list(values.values()))).all()
        before = self._values or values
        self._values = {name: torch.where(self.broken > 0, before[name], value) for name, value in values.items()}
        self.broken = torch.maximum(self.broken, (~finite).float())
        self._step += self.broken == 0
        self._broken_on_host.copy_(self.broken, non_blocking=True)
        if self._prompt and self._broken_on_host:
            self.check()

    def check(self) -> None:
        """Waits for the device, and raises `TrainingDiverged` if a step was not finite."""
        if self.broken:
            raise TrainingDiverged(int(self._step), {name: float(value) for name, value in self._values.items()})
