"""State of a process: each change is undone and named."""

import locale
import os
import random
import signal
import sys
import warnings
from types import ModuleType

import numpy as np
import pytest
import torch
from exeunt.specs.process_state import preserved_process_state, settings, unusual_settings

NAMED = [
    "torch.set_default_dtype(torch.float64)",
    "torch.set_default_dtype(torch.float16)",
    "torch.set_default_device('meta')",
    "torch.set_grad_enabled(False)",
    "torch.set_flush_denormal(True)",
    "torch.set_num_threads(3)",
    "torch.set_float32_matmul_precision('medium')",
    "torch.set_deterministic_debug_mode(1)",
    "torch.set_autocast_enabled('cpu', True)",
    "torch.autograd.set_detect_anomaly(True)",
    "torch.backends.mkldnn.enabled = False",
    "torch.backends.mkldnn.conv.fp32_precision = 'bf16'",
    "torch.backends.cudnn.enabled = False",
    "torch.backends.cudnn.benchmark = True",
    "torch.backends.cudnn.deterministic = True",
    "torch.backends.cudnn.conv.fp32_precision = 'ieee'",
    "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
    "torch.backends.cuda.enable_flash_sdp(False)",
    "torch.utils.deterministic.fill_uninitialized_memory = False",
    "os.environ['EXEUNT_OWN'] = 'value'",
    "os.chdir('/')",
    "sys.setrecursionlimit(5000)",
    "socket.setdefaulttimeout(3.0)",
    "logging.disable(50)",
]
WITHOUT_NAME = [
    "random.seed(0)",
    "np.random.seed(0)",
    "torch.manual_seed(0)",
    "warnings.simplefilter('error')",
    "signal.signal(signal.SIGUSR1, signal.SIG_IGN)",
    "np.seterr(all='raise')",
    "gc.disable()",
    "torch.nn.modules.module.register_module_forward_hook(print)",
]


def state():
    """Return everything that the changes above touch."""
    return (
        {setting.code: setting.read() for setting in settings()},
        dict(os.environ),
        (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()),
        list(warnings.filters),
        signal.getsignal(signal.SIGUSR1),
        dict(torch.nn.modules.module._global_forward_hooks),
    )


def run(code):
    exec("import gc, logging, socket\n" + code, globals())


@pytest.mark.parametrize("code", [*NAMED, *WITHOUT_NAME, "\n".join(NAMED[1:])])
def test_a_change_is_undone(code):
    before = state()
    with pytest.raises(KeyError), preserved_process_state():  # noqa: PT012 (the last line raises)
        run(code)
        raise KeyError
    assert state() == before


@pytest.mark.parametrize("code", NAMED)
def test_the_changed_setting_is_named_as_in_code(code):
    with preserved_process_state() as changed:
        run(code)
    assert code in changed


def test_nothing_is_named_without_a_change():
    with preserved_process_state() as changed:
        random.random()
        torch.rand(3)
    assert changed == []


def test_a_setting_that_was_unusual_before_stays():
    with preserved_process_state():
        torch.set_default_dtype(torch.float64)
        with preserved_process_state():
            torch.set_default_dtype(torch.float32)
        assert torch.get_default_dtype() == torch.float64
        assert unusual_settings() == ["torch.set_default_dtype(torch.float64)"]
    assert unusual_settings() == []


def test_settings_get_their_defaults_if_torch_is_loaded_inside(monkeypatch):
    with preserved_process_state():
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "torch", ModuleType("torch"))
            context = preserved_process_state()
            changed = context.__enter__()
        torch.backends.mkldnn.enabled = False
        context.__exit__(None, None, None)
        assert changed == ["torch.backends.mkldnn.enabled = False"]
        assert torch.backends.mkldnn.enabled


def test_a_removed_working_directory_is_no_error(tmp_path):
    (tmp_path / "gone").mkdir()
    with preserved_process_state():
        os.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        with preserved_process_state():
            os.chdir("/")


def test_the_locale_is_that_before():
    before = locale.setlocale(locale.LC_ALL)
    with preserved_process_state():
        locale.setlocale(locale.LC_ALL, "C" if before != "C" else "C.UTF-8")
    assert locale.setlocale(locale.LC_ALL) == before
