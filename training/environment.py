"""Device, precision and numeric settings of a trial: selection and record."""

import functools
import importlib.metadata
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch

from ..specs import SpecError
from .plugins import installed_plugins, plugins_in_use

Precision = Literal["fp32", "bf16"]


def choose_device(name: str) -> torch.device:
    """Return the device called `name`; `auto` is the GPU if available. Raise `SpecError` if no GPU is available."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SpecError(
            f"device {name!r} is not available: PyTorch finds no CUDA GPU. Use 'auto' or 'cpu'.", field="device"
        )
    return device


def choose_precision(wanted: Literal["auto", "fp32", "bf16"], device: torch.device) -> Precision:
    """Return the precision on a device; `auto` is bf16 if the hardware multiplies in it, else fp32."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else "fp32"


@contextmanager
def training_conditions(threads: int) -> Iterator[None]:
    """Set the number of CPU threads and let cuDNN benchmark its algorithms, inside the context.

    On exit, these settings and the state of PyTorch's generators are restored.
    """
    threads_before, benchmark_before = torch.get_num_threads(), torch.backends.cudnn.benchmark
    with torch.random.fork_rng():
        torch.set_num_threads(threads)
        # Set directly, because `cudnn.flags` turns off every flag that it is not given, including `enabled`.
        torch.backends.cudnn.benchmark = True
        try:
            yield
        finally:
            torch.set_num_threads(threads_before)
            torch.backends.cudnn.benchmark = benchmark_before


def describe_environment(
    device: torch.device, precision: Precision, threads: int, processes: int
) -> dict[str, str | int]:
    """Return versions, commit, plugins if any, hardware and numeric settings, for the result."""
    cuda = device.type == "cuda"
    plugins = (*installed_plugins(), *(f"{plugin.name} (sha256 {plugin.sha256})" for plugin in plugins_in_use()))
    return {
        "exeunt": _version(),
        "commit": commit(),
        **({"plugins": ", ".join(plugins)} if plugins else {}),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "host": platform.node(),
        "device": torch.cuda.get_device_name(device) if cuda else _processor(),
        "precision": precision,
        "threads": threads,
        "processes": processes,
    }


def _version() -> str:
    try:
        return importlib.metadata.version("exeunt")
    except importlib.metadata.PackageNotFoundError:  # a checkout that is on the path, but not installed
        return ""


@functools.cache
def commit() -> str:
    """Return the commit of the running checkout, with `+changes` if files differ; empty for an installed package."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if not git("ls-files", Path(__file__).name):  # the package is inside another project's checkout
            return ""
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(": ", 1)[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        return f"{platform.machine()} processor"
