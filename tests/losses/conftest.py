from collections.abc import Callable

import pytest
import torch
from exeunt.losses import LossInputs

Draw = Callable[..., LossInputs]


@pytest.fixture
def draw() -> Draw:
    """Draws the inputs of a loss; features keep a distance to 0, where the feature loss has a step."""

    def inputs(*, exits=3, images=4, classes=5, width=6, seed=0, scale=2.0, dtype=torch.float64) -> LossInputs:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> torch.Tensor:
            return scale * torch.randn(shape, generator=generator, dtype=torch.float64)

        features = [normal(images, width) for _ in range(exits)]
        return LossInputs(
            logits=tuple(normal(images, classes).to(dtype).requires_grad_() for _ in range(exits)),
            features=tuple((f + 0.1 * f.sign()).to(dtype).requires_grad_() for f in features),
            labels=torch.randint(0, classes, (images,), generator=generator),
            teacher_logits=normal(images, classes).to(dtype).requires_grad_(),
        )

    return inputs
