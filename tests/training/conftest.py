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


@pytest.fixture
def write_picture() -> Callable[..., torch.Tensor]:
    """Function that writes a random picture (3, height, width) as JPEG or PNG, by suffix, and returns its pixels."""
    from torchvision.io import write_jpeg, write_png

    generator = torch.Generator().manual_seed(0)

    def write(path: Path, height: int = 40, width: int = 50) -> torch.Tensor:
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = torch.randint(0, 256, (1, 3, 6, 6), generator=generator).float()
        picture = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0].byte()
        if path.suffix.lower() in (".jpg", ".jpeg"):
            write_jpeg(picture, str(path))
        else:
            write_png(picture, str(path))
        return picture

    return write
