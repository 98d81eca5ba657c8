"""Stage `facts`: driver, versions, numeric flags, memory, and the cost of a launch."""

import subprocess
import time
from collections.abc import Callable

import torch

from ..settings import Notes, Settings
from ..training import synchronize

LAUNCHES = 2000
READINGS: dict[str, Callable[[], object]] = {
    "torch": lambda: torch.__version__,
    "CUDA": lambda: torch.version.cuda,
    "cuDNN": torch.backends.cudnn.version,
    "NCCL": torch.cuda.nccl.version,
    "GPU": lambda: torch.cuda.get_device_properties(0),
    "float32 of convolutions": lambda: torch.backends.cudnn.conv.fp32_precision,
    "float32 of matrix products": lambda: torch.backends.cuda.matmul.fp32_precision,
    "bf16 in hardware": lambda: torch.cuda.is_bf16_supported(including_emulation=False),
    "free and total memory": lambda: [f"{size / 2**30:.1f} GiB" for size in torch.cuda.mem_get_info(0)],
    "CPU threads": torch.get_num_threads,
}


def run(settings: Settings, notes: Notes) -> None:
    """Note the facts of the machine; fail without a GPU."""
    try:
        told = subprocess.run(["nvidia-smi", "-q"], capture_output=True, text=True, check=True, timeout=10).stdout
        (settings.out / "nvidia-smi.txt").write_text(told)
        keys = ("Driver Version", "MIG Mode", "Compute Mode", "Persistence Mode", "ECC Mode", "Current Power Limit")
        for line in told.splitlines():
            name, _, value = line.partition(" : ")
            if name.strip() in keys:
                notes.note(name.strip(), value=value.strip())
    except (OSError, subprocess.SubprocessError) as error:
        notes.note("nvidia-smi", value=f"not available: {error}")
    for name, read in READINGS.items():
        try:
            value = read()
        except Exception as error:  # versions differ in what they offer; such a fact is missing, not wrong
            value = f"not available: {error}"
        notes.note(name, value=str(value))
    there = settings.rehearse or torch.cuda.is_available()
    notes.note("CUDA GPU", passed=there, value=there)
    if there:
        _launch_cost(settings, notes)


def _launch_cost(settings: Settings, notes: Notes) -> None:
    x = torch.zeros(1, device=settings.device)
    for _ in range(100):
        x.add_(1)
    synchronize(settings.device)
    started = time.perf_counter()
    for _ in range(LAUNCHES):
        x.add_(1)
    seconds = time.perf_counter() - started
    synchronize(settings.device)
    notes.note("host time of a launch", value=f"{1e6 * seconds / LAUNCHES:.2f} µs")
