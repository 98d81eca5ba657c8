from collections.abc import Callable

import pytest
from exeunt.models import ArchitectureSpec, ExitSpec, MultiExitNetwork, build_network

Build = Callable[..., MultiExitNetwork]


@pytest.fixture
def build() -> Build:
    def network(architecture="resnet8", placement="none", *, head="conv", size=32, channels=3, classes=100, seed=0):
        return build_network(
            ArchitectureSpec(name=architecture),
            ExitSpec(placement=placement, head=head),
            image_shape=(channels, size, size),
            classes=classes,
            seed=seed,
        )

    return network
