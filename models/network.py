"""A trunk with exits, and how to build one from its specs."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..specs import Spec
from .heads import build_head, heads
from .placement import Layout, resolve
from .trunk import Trunk, architectures


@dataclass(frozen=True, kw_only=True)
class ArchitectureSpec(Spec):
    """The trunk."""

    name: str
    """A registered architecture."""

    def __post_init__(self) -> None:
        """Refuses names that nothing is registered under."""
        super().__post_init__()
        architectures[self.name]


@dataclass(frozen=True, kw_only=True)
class ExitSpec(Spec):
    """The exits besides the network's own classifier."""

    placement: str = "none"
    """`none`, `all`, or with commas stages (`1,3`), blocks (`block4`) and shares of the multiply-adds (`25%`)."""
    head: str = "conv"
    """What each exit is made of."""

    def __post_init__(self) -> None:
        """Refuses unknown heads; a placement can only be checked against an architecture."""
        super().__post_init__()
        heads[self.head]

    def irrelevant_fields(self) -> frozenset[str]:
        """The head, where there is no exit."""
        return frozenset({"head"} if self.placement == "none" else ())


class ExitOutputs(NamedTuple):
    """Of E exits, from the shallowest to the final one: E logits (N, C) and E features (N, W)."""

    logits: tuple[Tensor, ...]
    features: tuple[Tensor, ...]


class MultiExitNetwork(nn.Module):
    """A trunk whose exits all answer in one pass."""

    def __init__(self, trunk: Trunk, exits: dict[int, nn.Module]) -> None:
        """Attaches a head to each of the blocks with these numbers."""
        super().__init__()
        self.trunk = trunk
        self.exits = nn.ModuleDict({f"block{number}": head for number, head in sorted(exits.items())})
        self.exit_blocks = (*sorted(exits), len(trunk.blocks))
        """The number of the block that each exit follows, the final exit included."""

    def forward(self, images: Tensor) -> ExitOutputs:
        """The outputs of all exits for images (N, channels, H, W)."""
        logits, features = [], []
        hidden = images
        for number in range(1, len(self.exit_blocks) + 1):
            hidden, exit_logits, exit_features = self.advance(hidden, number)
            logits.append(exit_logits)
            features.append(exit_features)
        return ExitOutputs(tuple(logits), tuple(features))

    def advance(self, hidden: Any, number: int) -> tuple[Any, Tensor, Tensor]:
        """Runs the part of the network that ends with one exit.

        Args:
            hidden: the images (N, channels, H, W) for exit 1, for another what came out of the part before.
            number: of the exit, from 1 to the final one's.

        Returns:
            What the next part continues from, and the exit's logits (N, C) and features (N, W).
        """
        start, end = (0, *self.exit_blocks)[number - 1 : number + 1]
        if number == 1:
            hidden = self.trunk.stem(hidden)
        for block in range(start + 1, end + 1):
            hidden = self.trunk.block(block)(hidden)
        if end < len(self.trunk.blocks):
            return hidden, *self.exits[f"block{end}"](self.trunk.block(end).tap(hidden))
        features = self.trunk.neck(hidden)
        return hidden, self.trunk.classifier(features), features


def build_network(
    architecture: ArchitectureSpec,
    exits: ExitSpec | None = None,
    *,
    image_shape: tuple[int, int, int],
    classes: int,
    seed: int,
) -> MultiExitNetwork:
    """A network with random weights that depend on the seed alone; exits do not change the trunk's.

    Args:
        architecture: the trunk.
        exits: the auxiliary exits; none if left out.
        image_shape: (channels, height, width) of the images.
        classes: number of classes.
        seed: of the weights. PyTorch's global random state is left as it was.

    Raises:
        SpecError: for a placement that the architecture does not have.
    """
    exits = exits or ExitSpec()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach accelerators too
        trunk = architectures[architecture.name](channels=image_shape[0], classes=classes)
        built = {}
        for block in resolve(exits.placement, Layout(trunk, image_shape)):
            built[block] = build_head(exits.head, trunk, block, classes)
    return MultiExitNetwork(trunk, built)
