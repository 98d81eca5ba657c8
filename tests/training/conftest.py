from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from exeunt.losses import Baseline, Method
from exeunt.models import ArchitectureSpec, ExitSpec
from exeunt.training import DatasetSpec, Recipe, TrialSpec

MakeTrial = Callable[..., TrialSpec]


@pytest.fixture(autouse=True)
def _threads_are_left_alone() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    after = torch.get_num_threads()
    torch.set_num_threads(before)
    assert after == before


@pytest.fixture(scope="session")
def make_trial() -> MakeTrial:
    """Factory of small trials on the digits, with six steps per epoch."""

    def trial(
        method: Method | None = None, *, architecture="resnet8", exits="none", seed=0, teacher=None, epochs=2, **recipe
    ) -> TrialSpec:
        return TrialSpec(
            dataset=DatasetSpec(name="digits"),
            architecture=ArchitectureSpec(name=architecture),
            method=method or Baseline(),
            exits=ExitSpec(placement=exits),
            recipe=Recipe(epochs=epochs, **{"batch_size": 256, "precision": "fp32", **recipe}),
            seed=seed,
            teacher=teacher,
        )

    return trial


@pytest.fixture(scope="session")
def weights_of() -> Callable[[Path], dict[str, torch.Tensor]]:
    """Function that reads the trained weights in a trial directory."""
    return lambda folder: torch.load(folder / "weights.pt", weights_only=True)
