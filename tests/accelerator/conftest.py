"""Fixtures of the tests that run on a GPU, which need torch, torchvision, numpy and pytest alone.

    pytest tests/accelerator --confcutdir=tests/accelerator -m accelerator -o addopts= --import-mode=importlib

The variants of these tests on the CPU are part of `make test`.
"""

import contextlib
from collections.abc import Callable, Iterator

import pytest
import torch
from exeunt.losses import EED, Method
from exeunt.models import ArchitectureSpec, ExitSpec
from exeunt.training import DatasetSpec, Recipe, TrialSpec, datasets

from ..noise import register

GPU = pytest.param(
    "cuda",
    marks=[
        pytest.mark.accelerator,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine"),
    ],
)


@pytest.fixture(autouse=True, scope="module")
def _noise() -> Iterator[None]:
    """Register `noise` for these tests only, because other tests list all datasets."""
    register()
    yield
    datasets.unregister("noise")


@pytest.fixture(params=["cpu", GPU])
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """The CPU, or the GPU, whose float32 is not TF32."""
    parts = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    before = [part.fp32_precision for part in parts]
    for part in parts:
        part.fp32_precision = "ieee"
    yield torch.device(request.param)
    for part, precision in zip(parts, before, strict=True):
        part.fp32_precision = precision


@pytest.fixture
def without_waits(device: torch.device) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """Function that returns a context in which an operation that waits for the GPU raises an error."""

    @contextlib.contextmanager
    def refused() -> Iterator[None]:
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")

    return refused if device.type == "cuda" else contextlib.nullcontext


@pytest.fixture(scope="session")
def make_trial() -> Callable[..., TrialSpec]:
    """Factory of small trials on `noise`, with four steps per epoch, the last of which is smaller."""

    def trial(method: Method | None = None, **recipe) -> TrialSpec:
        return TrialSpec(
            dataset=DatasetSpec(name="noise@2%"),
            architecture=ArchitectureSpec(name="resnet8"),
            method=method or EED(),
            exits=ExitSpec(placement="all"),
            recipe=Recipe(**{"epochs": 2, "batch_size": 24, "precision": "fp32", "learning_rate": 0.01, **recipe}),
        )

    return trial
