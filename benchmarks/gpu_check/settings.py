"""Settings of a check, and the record of what its stages find."""

import importlib.util
import json
import time
import traceback
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

ROOT = Path(__file__).resolve().parents[2]
Size = TypeVar("Size")


class SkippedError(Exception):
    """A stage cannot run here, for the reason in the message."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Places and sizes of a check."""

    out: Path
    """Directory of the output."""
    data: Path | None = None
    """Directory of CIFAR-100; None if there is none."""
    reference: Path | None = None
    """Checkout of the authors' program; None if there is none."""
    rehearse: bool = False
    """True if every stage runs with tiny sizes on the CPU."""

    @property
    def device(self) -> torch.device:
        """Device of the stages that the stand-in for a GPU cannot serve."""
        return torch.device("cpu" if self.rehearse else "cuda")

    def size(self, real: Size, tiny: Size) -> Size:
        """Return the first value, or the second one in a rehearsal."""
        return tiny if self.rehearse else real

    @contextmanager
    def gpu(self) -> Iterator["Gpu"]:
        """Return the GPU; in a rehearsal, the tests' stand-in for it."""
        if not self.rehearse:
            yield Gpu()
            return
        with helper("fake_cuda").fake_cuda() as stand_in:
            yield Gpu(stand_in)


class Gpu:
    """GPU, or its stand-in, that can refuse operations for which the host waits."""

    def __init__(self, stand_in: types.SimpleNamespace | None = None) -> None:
        self.device = torch.device("cuda", 0)
        self._stand_in = stand_in

    @contextmanager
    def without_waits(self) -> Iterator[None]:
        """Raise `RuntimeError` if an operation inside the context makes the host wait for the GPU."""
        if self._stand_in is not None:
            self._stand_in.forget()
            yield
            if events := self._stand_in.blocking:
                raise RuntimeError(f"the host waits for the GPU: {events[0].what} of shape {events[0].shape}")
            return
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")


def helper(name: str) -> types.ModuleType:
    """Import a module of `tests/` that the check shares with the tests."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Notes:
    """Facts of a stage, appended to `check.jsonl` at once."""

    def __init__(self, path: Path, stage: str, limit_s: float) -> None:
        """Start the clock of the stage."""
        self._path, self._stage, self._limit_s = path, stage, limit_s
        self._started = time.monotonic()
        self.failed: list[str] = []
        """Names of the facts that do not pass."""

    def note(self, what: str, *, passed: bool | None = None, **values: object) -> None:
        """Append a fact: its name, its verdict if it has one, and its values."""
        if passed is False:
            self.failed.append(what)
        self._append({"what": what, "passed": passed, **values})

    def end(self, verdict: str, reason: str = "") -> None:
        """Append the verdict of the stage: PASS, FAIL or SKIP."""
        self._append({"verdict": verdict, "reason": reason})

    def used(self) -> float:
        """Return the part of the stage's time that is used, in [0, 1]."""
        return (time.monotonic() - self._started) / self._limit_s

    def _append(self, values: dict[str, object]) -> None:
        seconds = round(time.monotonic() - self._started, 2)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"stage": self._stage, "seconds": seconds, **values}, default=str) + "\n")


def described(error: BaseException) -> str:
    """Return the kind, the first line and the innermost place of an error in this checkout."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    own = [frame for frame in frames if "/exeunt/" in frame.filename or str(ROOT) in frame.filename]
    place = f" ({'/'.join(own[-1].filename.split('/')[-2:])}:{own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}{place}"
