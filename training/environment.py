"""What a trial runs on, chosen and recorded."""

import importlib.metadata
import platform
from typing import Literal

import torch

from ..specs import SpecError

Precision = Literal["fp32", "bf16"]


def choose_device(name: str) -> torch.device:
    """The device called `name`; `auto` is the accelerator if there is one. Raises `SpecError` if it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SpecError(f"device {name!r} is not there: PyTorch sees no CUDA accelerator.", field="device")
    return device


def choose_precision(wanted: Literal["auto", "fp32", "bf16"], device: torch.device) -> Precision:
    """What `auto` means on a device: bf16 where the processor multiplies in it, else fp32."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else "fp32"


def describe_environment(device: torch.device, precision: Precision, threads: int) -> dict[str, str | int]:
    """Versions, hardware and numeric settings, for the result."""
    cuda = device.type == "cuda"
    return {
        "exeunt": importlib.metadata.version("exeunt"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "host": platform.node(),
        "device": torch.cuda.get_device_name(device) if cuda else f"{platform.machine()} processor",
        "precision": precision,
        "threads": threads,
    }
