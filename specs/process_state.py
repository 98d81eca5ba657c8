"""State that all trials of a process share, such as PyTorch's default dtype, and its restoration.

A line of a user's own code could change it for each later trial. PyTorch and NumPy are read only if they are loaded
already, so this module needs neither.
"""

import gc
import locale
import logging
import os
import random
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

UNKNOWN: Final = object()
"""Default of a setting that depends on the machine, or that each training sets."""

TORCH_FUNCTIONS: tuple[tuple[str, str, Any], ...] = (
    ("set_grad_enabled", "is_grad_enabled", True),
    ("set_num_threads", "get_num_threads", UNKNOWN),
    ("set_autocast_cache_enabled", "is_autocast_cache_enabled", True),
    ("autograd.set_detect_anomaly", "is_anomaly_enabled", False),
    ("backends.cuda.enable_flash_sdp", "backends.cuda.flash_sdp_enabled", True),
    ("backends.cuda.enable_mem_efficient_sdp", "backends.cuda.mem_efficient_sdp_enabled", True),
    ("backends.cuda.enable_math_sdp", "backends.cuda.math_sdp_enabled", True),
    ("backends.cuda.enable_cudnn_sdp", "backends.cuda.cudnn_sdp_enabled", True),
    ("backends.mha.set_fastpath_enabled", "backends.mha.get_fastpath_enabled", True),
)
"""Settings of PyTorch with functions: the function that sets it, the one that returns it, and its default."""

TORCH_ATTRIBUTES: tuple[tuple[str, Any], ...] = (
    *((f"backends.{name}", True) for name in ("mkldnn.enabled", "cudnn.enabled")),
    *((f"backends.{name}deterministic", False) for name in ("mkldnn.", "cudnn.")),
    *((f"backends.{name}fp32_precision", UNKNOWN) for name in ("", "mkldnn.", "cudnn.")),
    *((f"backends.mkldnn.{name}.fp32_precision", UNKNOWN) for name in ("matmul", "conv", "rnn")),
    *((f"backends.cudnn.{name}.fp32_precision", UNKNOWN) for name in ("conv", "rnn")),
    ("backends.cudnn.benchmark", UNKNOWN),
    ("backends.cudnn.benchmark_limit", UNKNOWN),
    ("backends.cuda.matmul.fp32_precision", UNKNOWN),
    ("backends.cuda.matmul.allow_fp16_reduced_precision_reduction", True),
    ("backends.cuda.matmul.allow_bf16_reduced_precision_reduction", True),
    ("backends.cuda.matmul.allow_fp16_accumulation", False),
    ("backends.opt_einsum.enabled", UNKNOWN),
    ("backends.opt_einsum.strategy", UNKNOWN),
    ("backends.quantized.engine", UNKNOWN),
    ("utils.deterministic.fill_uninitialized_memory", True),
)
"""Settings of PyTorch that are attributes, and their defaults."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting of the process."""

    code: str
    """Code that sets it, with a replacement field for its value: `torch.set_num_threads({})`."""
    read: Callable[[], Any]
    write: Callable[[Any], object]
    default: Any = UNKNOWN
    """Value in a new process."""


@contextmanager
def preserved_process_state() -> Iterator[list[str]]:
    """Restore the state of the process at the end of the context.

    This covers the settings of `settings`, hooks of all modules of PyTorch, random generators, environment variables,
    warning filters and, in the main thread, signal handlers. If PyTorch is loaded inside the context, its settings get
    their defaults.

    Yields:
        List that is empty inside the context. After it, the list has the code that made each restored change of a
        setting or an environment variable, such as `torch.backends.cudnn.enabled = False`.
    """
    changed: list[str] = []
    before = {setting.code: setting.read() for setting in settings()}
    environment, handlers, generators, hooks = dict(os.environ), _signal_handlers(), _generators(), _module_hooks()
    with warnings.catch_warnings():
        try:
            yield changed
        finally:
            changed += _restore_settings(before)
            changed += _restore_environment(environment)
            _restore_signal_handlers(handlers)
            _restore_module_hooks(hooks)
            for write, state in generators:
                write(state)


def unusual_settings() -> list[str]:
    """Return the code that makes each setting of this process with another value than its default."""
    found = ((setting, setting.read()) for setting in settings() if setting.default is not UNKNOWN)
    return [setting.code.format(repr(value)) for setting, value in found if value != setting.default]


def settings() -> Iterator[Setting]:
    """Iterate over the settings of the process, in the order in which they can be restored."""
    yield Setting(code="os.chdir({})", read=_working_directory, write=_change_directory)
    yield Setting(
        code="locale.setlocale({})",
        read=partial(locale.setlocale, locale.LC_ALL),
        write=partial(locale.setlocale, locale.LC_ALL),
    )
    yield Setting(code="sys.setrecursionlimit({})", read=sys.getrecursionlimit, write=sys.setrecursionlimit)
    yield Setting(code="socket.setdefaulttimeout({})", read=socket.getdefaulttimeout, write=socket.setdefaulttimeout)
    yield Setting(code="gc.isenabled() == {}", read=gc.isenabled, write=lambda on: gc.enable() if on else gc.disable())
    yield Setting(code="logging.disable({})", read=lambda: logging.root.manager.disable, write=logging.disable)
    if (numpy := sys.modules.get("numpy")) is not None:
        yield Setting(code="numpy.seterr({})", read=numpy.geterr, write=lambda modes: numpy.seterr(**modes))
    if (torch := _loaded_torch()) is not None:
        yield from _torch_settings(torch)


def _torch_settings(torch: Any) -> Iterator[Setting]:
    yield Setting(
        code="torch.set_default_dtype({})",
        read=torch.get_default_dtype,
        write=torch.set_default_dtype,
        default=torch.float32,
    )
    yield Setting(
        code="torch.set_default_device({})",
        read=lambda: str(torch.get_default_device()),
        # None, because with the device "cpu" PyTorch would intercept each call.
        write=lambda device: torch.set_default_device(None if device == "cpu" else device),
        default="cpu",
    )
    yield Setting(
        code="torch.set_flush_denormal({})",
        read=lambda: sys.float_info.min / 2 == 0,
        write=torch.set_flush_denormal,
        default=False,
    )
    yield Setting(  # before the precisions of its backends, which it sets
        code="torch.set_float32_matmul_precision({})",
        read=partial(_matmul_precision, torch),
        write=torch.set_float32_matmul_precision,
        default="highest",
    )
    yield Setting(
        code="torch.set_deterministic_debug_mode({})",  # 1 warns, 2 is an error
        read=torch.get_deterministic_debug_mode,
        write=torch.set_deterministic_debug_mode,
    )
    for device in ("cpu", "cuda"):
        yield Setting(
            code=f"torch.set_autocast_enabled({device!r}, {{}})",
            read=partial(torch.is_autocast_enabled, device),
            write=partial(torch.set_autocast_enabled, device),
            default=False,
        )
    for setter, getter, default in TORCH_FUNCTIONS:
        read, write = attrgetter(getter)(torch), attrgetter(setter)(torch)
        yield Setting(code=f"torch.{setter}({{}})", read=read, write=write, default=default)
    for path, default in TORCH_ATTRIBUTES:
        owner, _, name = path.rpartition(".")
        read, write = partial(attrgetter(path), torch), partial(setattr, attrgetter(owner)(torch), name)
        yield Setting(code=f"torch.{path} = {{}}", read=read, write=write, default=default)


def _matmul_precision(torch: Any) -> str:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # its backends have different precisions
        return "mixed"


def _loaded_torch() -> Any:
    """Return PyTorch if it is loaded completely, else None."""
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "compile") else None


def _working_directory() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:  # it was removed
        return ""


def _change_directory(path: str) -> None:
    with suppress(OSError):
        os.chdir(path)


def _restore_settings(before: dict[str, Any]) -> list[str]:
    """Restore the settings, and return the code that had changed them."""
    known = [(setting, before.get(setting.code, setting.default)) for setting in settings()]
    found = [(setting, earlier, setting.read()) for setting, earlier in known if earlier is not UNKNOWN]
    for setting, earlier, _ in found:
        if setting.read() != earlier:  # read again, because some settings set others
            setting.write(earlier)
    return [setting.code.format(repr(now)) for setting, earlier, now in found if now != earlier]


def _restore_environment(before: dict[str, str]) -> Iterator[str]:
    for name in sorted({*before, *os.environ}):
        if (value := os.environ.get(name)) != before.get(name):
            yield f"os.environ[{name!r}] = {value!r}"
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]


def _signal_handlers() -> dict[signal.Signals, Any]:
    """Return the handlers of all signals; none outside of the main thread, which alone can change them."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.getsignal(number) for number in signal.Signals}


def _restore_signal_handlers(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        if signal.getsignal(number) is not handler and handler is not None:  # None: not installed by Python
            signal.signal(number, handler)


def _generators() -> list[tuple[Callable[[Any], object], Any]]:
    """Return the functions that set the states of the random generators, with the states; GPUs are not started."""
    states: list[tuple[Callable[[Any], object], Any]] = [(random.setstate, random.getstate())]
    if (numpy := sys.modules.get("numpy.random")) is not None:
        states.append((numpy.set_state, numpy.get_state()))
    if (torch := _loaded_torch()) is not None:
        states.append((torch.set_rng_state, torch.get_rng_state()))
    return states


def _module_hooks() -> dict[str, Any]:
    """Return the hooks of all modules of PyTorch, by their table."""
    if _loaded_torch() is None:
        return {}
    tables = vars(sys.modules["torch.nn.modules.module"])
    return {
        name: dict(table) if isinstance(table, dict) else table
        for name, table in tables.items()
        if name.startswith("_global_")
    }


def _restore_module_hooks(before: dict[str, Any]) -> None:
    for name, hooks in before.items():
        module = sys.modules["torch.nn.modules.module"]
        if isinstance(hooks, dict):
            table = getattr(module, name)
            table.clear()
            table.update(hooks)
        else:
            setattr(module, name, hooks)
