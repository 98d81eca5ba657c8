"""What a training takes of the machine."""

import contextlib
import re
import resource
from pathlib import Path

import torch

_COUNTERS = Path("/sys/class/powercap")  # of Intel's and AMD's processors, where the system lets us read them
_TOO_LITTLE = re.compile(
    "allocate memory|out of memory|ALLOC_FAILED|Storage size calculation overflowed"
    "|could not create a primitive$"  # oneDNN's, for its own buffers; what it cannot do at all goes on: " descriptor"
)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that there is too little memory: PyTorch, drivers and NumPy each say it in their way."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(_TOO_LITTLE.search(str(error))))


class ResourceUsage:
    """Peak memory and energy since the meter was made, of the device that trains."""

    def __init__(self, device: torch.device) -> None:
        """Starts to measure."""
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            _forget_peak()
        self._joules_before = _joules(device)

    def peak_memory(self) -> int:
        """Bytes: on an accelerator those of this process's tensors, else those of the whole process."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return _resident_peak()

    def joules(self) -> float | None:
        """Of the whole device, whoever used it; None where its driver does not say."""
        now = _joules(self._device)
        if now is None or self._joules_before is None or now < self._joules_before:  # a counter that started again
            return None
        return now - self._joules_before


def _forget_peak() -> None:
    # Linux: the peak becomes the present size. Elsewhere it stays that of the process since it began.
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
            import pynvml  # type: ignore[import-not-found]  # noqa: PLC0415 (comes with NVIDIA's driver tools, and is not needed)

            pynvml.nvmlInit()
            identity = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
            return pynvml.nvmlDeviceGetTotalEnergyConsumption(pynvml.nvmlDeviceGetHandleByUUID(identity)) / 1000
        except Exception:  # not installed, or a driver that does not count
            return None
    try:
        counters = [path / "energy_uj" for path in _COUNTERS.glob("*-rapl:?")]
        return sum(int(counter.read_text()) for counter in counters) / 1e6 if counters else None
    except OSError:
        return None
