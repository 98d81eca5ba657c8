"""Energy and driver version of an NVIDIA GPU, read from the driver's library NVML."""

import ctypes
import functools

LIBRARY = "libnvidia-ml.so.1"
"""Name of NVML on Linux; it is part of the driver."""


class EnergyUnavailableError(Exception):
    """The energy of a device cannot be read; the message is the reason."""


def total_joules(uuid: str) -> float:
    """Return the energy in joules that a GPU has used since its driver was loaded.

    Args:
        uuid: UUID of the GPU as PyTorch writes it, without prefix. For a part of a GPU (MIG), the energy is that of the
            whole GPU, since NVML does not divide it.

    Raises:
        EnergyUnavailableError: if the driver's library is missing, or does not report the energy of this GPU.
    """
    library = _library(LIBRARY)
    device, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
    if library.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}".encode(), ctypes.byref(device)):
        part = ctypes.c_void_p()
        _call(library, "nvmlDeviceGetHandleByUUID", f"MIG-{uuid}".encode(), ctypes.byref(part))
        _call(library, "nvmlDeviceGetDeviceHandleFromMigDeviceHandle", part, ctypes.byref(device))
    _call(library, "nvmlDeviceGetTotalEnergyConsumption", device, ctypes.byref(millijoules))
    return millijoules.value / 1000


def driver_version() -> str:
    """Return the version of the NVIDIA driver; empty if it cannot be read."""
    version = ctypes.create_string_buffer(80)
    try:
        _call(_library(LIBRARY), "nvmlSystemGetDriverVersion", version, ctypes.c_uint(len(version)))
    except EnergyUnavailableError:
        return ""
    return version.value.decode()


@functools.cache
def _library(name: str) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(name)
    except OSError as error:
        raise EnergyUnavailableError(f"the NVIDIA driver's library {name} cannot be loaded") from error
    _call(library, "nvmlInit_v2")
    return library


def _call(library: ctypes.CDLL, name: str, *arguments: object) -> None:
    """Call a function of NVML. Raise `EnergyUnavailableError` unless the library has it and it returns 0."""
    try:
        function = getattr(library, name)
    except AttributeError as error:
        raise EnergyUnavailableError(f"the NVIDIA driver is too old: it has no {name}") from error
    if status := function(*arguments):
        library.nvmlErrorString.restype = ctypes.c_char_p
        raise EnergyUnavailableError(f"{name}: {library.nvmlErrorString(status).decode()}")
