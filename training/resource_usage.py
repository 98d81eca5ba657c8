"""Memory and energy that training uses."""

import contextlib
import re
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from . import nvml
from .nvml import EnergyUnavailableError

_COUNTERS = Path("/sys/class/powercap")  # energy counters of Intel and AMD CPUs; reading them may need permission
_TOO_LITTLE = re.compile(
    "allocate memory|out of memory|ALLOC_FAILED|Storage size calculation overflowed"
    "|could not create a primitive$"  # oneDNN, for its buffers; an unsupported operation has " descriptor" added
    "|FIND was unable to find an engine to execute this computation|Unable to find a valid cuDNN algorithm"
)


class OutOfMemoryError(Exception):
    """The device has less memory than the trial needs."""


@contextlib.contextmanager
def enough_memory(advice: Callable[[], str]) -> Iterator[None]:
    """Raise `OutOfMemoryError` with the advice if the block runs out of memory."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(advice()) from error


def is_out_of_memory(error: Exception) -> bool:
    """Return True if an error reports too little memory; PyTorch, drivers and NumPy use different messages."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(_TOO_LITTLE.search(str(error))))


class ResourceUsage:
    """Peak memory and energy of the training device since the object was created."""

    def __init__(self, device: torch.device) -> None:
        """Start the measurement."""
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            _forget_peak()
        self.energy_problem = ""
        """Reason why the energy is not measured; empty if it is."""
        self._joules_before = self._joules()

    def peak_memory(self) -> int:
        """Return the peak memory in bytes: of this process's tensors on a GPU, of the whole process on a CPU."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return _resident_peak()

    def joules(self) -> float | None:
        """Return the energy of the whole device in joules, for all its users; None if it is not measured."""
        before, now = self._joules_before, self._joules()
        if before is None or now is None:
            return None
        if now < before:
            self.energy_problem = "the driver was loaded again"
            return None
        return now - before

    def _joules(self) -> float | None:
        try:
            if self._device.type == "cuda":
                return nvml.total_joules(str(torch.cuda.get_device_properties(self._device).uuid))
            return _cpu_joules()
        except EnergyUnavailableError as reason:
            self.energy_problem = str(reason)
            return None


def _forget_peak() -> None:
    # Linux resets the peak to the current size. On other systems it remains the peak since the process started.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _resident_peak() -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _cpu_joules() -> float:
    counters = [path / "energy_uj" for path in _COUNTERS.glob("*-rapl:?")]
    if not counters:
        raise EnergyUnavailableError(f"{_COUNTERS} has no energy counters of this CPU")
    try:
        return sum(int(counter.read_text()) for counter in counters) / 1e6
    except OSError as error:
        raise EnergyUnavailableError(f"{counters[0]} cannot be read: {error.strerror}") from error
