"""Memory and energy that training uses."""

import contextlib
import re
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

_COUNTERS = Path("/sys/class/powercap")  # energy counters of Intel and AMD CPUs; reading them may need permission
_TOO_LITTLE = re.compile(
    "allocate memory|out of memory|ALLOC_FAILED|Storage size calculation overflowed"
    "|could not create a primitive$"  # oneDNN, for its buffers; an unsupported operation has " descriptor" added
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
        self._joules_before = _joules(device)

    def peak_memory(self) -> int:
        """Return the peak memory in bytes: of this process's tensors on a GPU, of the whole process on a CPU."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return _resident_peak()

    def joules(self) -> float | None:
        """Return the energy of the whole device in joules, for all its users; None if the driver does not report it."""
        now = _joules(self._device)
        if now is None or self._joules_before is None or now < self._joules_before:  # the counter was reset
            return None
        return now - self._joules_before


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


def _joules(device: torch.device) -> float | None:
    if device.type == "cuda":
        try:
            import pynvml  # type: ignore[import-not-found]  # noqa: PLC0415 (optional, from NVIDIA's driver tools)

            pynvml.nvmlInit()
            identity = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
            return pynvml.nvmlDeviceGetTotalEnergyConsumption(pynvml.nvmlDeviceGetHandleByUUID(identity)) / 1000
        except Exception:  # not installed, or not supported by the driver
            return None
    try:
        counters = [path / "energy_uj" for path in _COUNTERS.glob("*-rapl:?")]
        return sum(int(counter.read_text()) for counter in counters) / 1e6 if counters else None
    except OSError:
        return None
