"""Device, precision and numeric settings of a trial: selection and record."""

import functools
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch

from ..specs import SpecError
from ..specs.process_state import preserved_process_state, unusual_settings
from ..specs.version import __version__
from . import nvml
from .compilation import compiled_as
from .plugins import installed_plugins, plugins_in_use
from .recipe import Recipe

Precision = Literal["fp32", "tf32", "bf16"]

CUBLAS_VARIABLE, CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
"""Environment variable and value with which matrix products on GPUs are deterministic (NVIDIA's cuBLAS manual)."""


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


def choose_precision(wanted: Literal["auto", "fp32", "tf32", "bf16"], device: torch.device) -> Precision:
    """Return the precision on a device; `auto` is bf16 if the hardware multiplies in it, else fp32.

    Raises:
        SpecError: for tf32, if the device has no TF32.
    """
    cuda = device.type == "cuda"
    if wanted == "tf32" and not (cuda and torch.cuda.is_tf32_supported()):
        raise SpecError(
            f"`precision: tf32` needs a GPU with TF32, but the device is {device}; use auto or fp32.", field="precision"
        )
    if wanted != "auto":
        return wanted
    if cuda:
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else "fp32"


@contextmanager
def training_conditions(recipe: Recipe, device: torch.device, threads: int) -> Iterator[None]:
    """Set the number of CPU threads and PyTorch's numeric settings for a recipe, inside the context.

    cuDNN benchmarks its algorithms, unless the recipe is deterministic. Only `precision: tf32` computes in TF32, and
    only its convolutions do. On exit, the state of the process is restored, also where code of a user has changed it.

    Raises:
        SpecError: if the recipe is deterministic, but CUDA started in this process without deterministic matrix
            products.
    """
    if device.type == "cuda":
        _prepare_cublas()  # for each recipe, since a later trial of this process may be deterministic
    if recipe.deterministic:
        prepare_deterministic(device)
    cuda: Any = torch.backends.cuda
    cudnn: Any = torch.backends.cudnn
    with preserved_process_state(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.set_num_threads(threads)
        if torch.are_deterministic_algorithms_enabled() != recipe.deterministic:  # imports the compiler
            torch.use_deterministic_algorithms(recipe.deterministic)
        # Set directly, because `cudnn.flags` turns off every flag that it is not given, including `enabled`.
        cudnn.benchmark = not recipe.deterministic
        cudnn.conv.fp32_precision = "tf32" if recipe.precision == "tf32" else "ieee"
        cuda.matmul.fp32_precision = "ieee"
        yield


def prepare_deterministic(device: torch.device) -> None:
    """Let cuBLAS use deterministic algorithms only.

    Raises:
        SpecError: if CUDA started in this process without them.
    """
    if device.type != "cuda":
        return
    _prepare_cublas()
    if CUBLAS_VARIABLE not in os.environ:
        rule = f"`deterministic: true` needs {CUBLAS_VARIABLE} before this process uses its GPU"
        raise SpecError(
            f"{rule}. Set {CUBLAS_VARIABLE}={CUBLAS_WORKSPACE} in the environment of the command.",
            field="deterministic",
        )


def _prepare_cublas() -> None:
    """Set the environment variable, unless CUDA has started: cuBLAS reads it at its first matrix product."""
    if not torch.cuda.is_initialized():
        os.environ.setdefault(CUBLAS_VARIABLE, CUBLAS_WORKSPACE)


def nondeterministic_operator(error: Exception) -> str | None:
    """Return the operator if an error names one that has no deterministic algorithm, else None."""
    found = re.match(r"(\S+) does not have a deterministic implementation", str(error))
    return found[1] if found and isinstance(error, RuntimeError) else None


def describe_environment(device: torch.device, precision: Precision) -> dict[str, str | int]:
    """Return versions, commit, plugins if any, hardware and precision, for the result."""
    cuda = device.type == "cuda"
    plugins = (*installed_plugins(), *(f"{plugin.name} (sha256 {plugin.sha256})" for plugin in plugins_in_use()))
    return {
        "exeunt": __version__,
        "commit": commit(),
        **({"plugins": ", ".join(plugins)} if plugins else {}),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "host": platform.node(),
        "device": torch.cuda.get_device_name(device) if cuda else _processor(),
        **(_gpu_software() if cuda else {}),
        "precision": precision,
    }


def describe_conditions(recipe: Recipe, device: torch.device) -> dict[str, str | int]:
    """Return the numeric settings that `training_conditions` has set, as they are now, for the result.

    If other settings of PyTorch differ from those of a new process, `settings` has the code that sets them.
    """
    record: dict[str, str | int] = {
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "compile": compiled_as(recipe.compile, device),
    }
    if device.type == "cuda":
        record["tf32"] = torch.backends.cudnn.conv.fp32_precision == "tf32"  # type: ignore[attr-defined]
        record["cudnn_benchmark"] = torch.backends.cudnn.benchmark
    if unusual := unusual_settings():
        record["settings"] = "; ".join(unusual)
    return record


def _gpu_software() -> dict[str, str | int]:
    """Return the versions of CUDA, cuDNN and the driver."""
    return {
        "cuda": torch.version.cuda or "",
        "cudnn": torch.backends.cudnn.version() or 0,
        "driver": nvml.driver_version(),
    }


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
