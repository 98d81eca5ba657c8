from collections.abc import Callable, Iterator

import pytest
from exeunt.models import ArchitectureSpec, ExitSpec, MultiExitNetwork, build_network, heads

Build = Callable[..., MultiExitNetwork]
MAP_HEADS = sorted(set(heads) - {"class_token"})
"""Heads that read a map, as all networks of Exeunt have it."""


@pytest.fixture(autouse=True, scope="session")
def _empty_cache_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Measure the layouts of other packages' networks, although the user's cache may have them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


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
