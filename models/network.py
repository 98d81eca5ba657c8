"""A trunk with exits, and how to build one from its specs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..specs import Spec, require
from .backbone import Backbone, architectures
from .heads import ExitOutput, build_head, heads
from .layers import Pool
from .placement import Layout, resolve


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
    """`none`, or with commas `all`, stages (`1,3`), blocks (`block4`) and shares of the multiply-adds (`25%`)."""
    head: str = "conv"
    """What each exit is made of."""

    def __post_init__(self) -> None:
        """Refuses unknown heads; a placement can only be checked against an architecture."""
        super().__post_init__()
        heads[self.head]

    def inactive_fields(self) -> frozenset[str]:
        """The head, where there is no exit."""
        return frozenset({"head"} if self.placement == "none" else ())


class ExitOutputs(NamedTuple):
    """What E exits say of N images, from the shallowest to the final one."""

    logits: tuple[Tensor, ...]
    """(N, classes) each."""
    features: tuple[Tensor, ...]
    """(N, width) each: what the classifiers read."""
    maps: tuple[Tensor, ...]
    """(N, width, h, w) each: what the pooling reads; (N, width, 1, 1) where nothing is pooled last."""
    stages: tuple[Tensor, ...]
    """(N, channels, h, w) each: what the stages of the trunk put out, from the first to the last."""


class MultiExitNetwork(nn.Module):
    """A trunk whose exits all answer in one pass."""

    def __init__(self, trunk: Backbone, exits: dict[int, nn.Module]) -> None:
        """Attaches a head to each of the blocks with these numbers."""
        super().__init__()
        self.trunk = trunk
        self.exits = nn.ModuleDict({f"block{number}": head for number, head in sorted(exits.items())})
        self.exit_blocks = (*sorted(exits), len(trunk.blocks))
        """The number of the block that each exit follows, the final exit included."""

    def forward(self, images: Tensor) -> ExitOutputs:
        """The outputs of all exits for images (N, channels, H, W)."""
        outputs = []
        stages: list[Tensor] = []
        hidden = images
        for number in range(1, len(self.exit_blocks) + 1):
            hidden, output = self.advance(hidden, number, stages)
            outputs.append(output)
        logits, features, maps = zip(*outputs, strict=True)
        return ExitOutputs(logits, features, maps, tuple(stages))

    def advance(self, hidden: Any, number: int, stages: list[Tensor] | None = None) -> tuple[Any, ExitOutput]:
        """Runs the part of the network that ends with one exit.

        Args:
            hidden: the images (N, channels, H, W) for exit 1, for another what came out of the part before.
            number: of the exit, from 1 to the final one's.
            stages: to be extended by what those stages put out that end in this part.

        Returns:
            What the next part continues from, and what the exit says.
        """
        start, end = (0, *self.exit_blocks)[number - 1 : number + 1]
        if number == 1:
            hidden = self.trunk.stem(hidden)
        for index in range(start + 1, end + 1):
            block = self.trunk.block(index)
            hidden = block(hidden)
            if stages is not None and index in self.trunk.stage_ends:
                stages.append(block.tap(hidden))
        if end < len(self.trunk.blocks):
            return hidden, self.exits[f"block{end}"](self.trunk.block(end).tap(hidden))
        features = self.trunk.neck(hidden)
        last_map = hidden if isinstance(self.trunk.neck, Pool) else features[:, :, None, None]
        return hidden, ExitOutput(self.trunk.classifier(features), features, last_map)


class Cohort(nn.Module):
    """Several networks of one architecture, trained at once; each counts as an exit, the last one as the final exit."""

    def __init__(self, networks: Sequence[MultiExitNetwork]) -> None:
        """Of networks without exits."""
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, images: Tensor) -> ExitOutputs:
        """What each network says of images (N, channels, H, W); stages are the last network's."""
        outputs: list[ExitOutputs] = [network(images) for network in self.networks]
        return ExitOutputs(
            logits=tuple(output.logits[-1] for output in outputs),
            features=tuple(output.features[-1] for output in outputs),
            maps=tuple(output.maps[-1] for output in outputs),
            stages=outputs[-1].stages,
        )


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
        SpecError: for a placement that the architecture does not have, and for images that are too small for it.
    """
    exits = exits or ExitSpec()
    require(image_shape[0] >= 1, "1 <= channels", channels=image_shape[0])
    require(classes >= 1, "1 <= classes", classes=classes)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach accelerators too
        trunk = architectures[architecture.name](channels=image_shape[0], classes=classes)
        built = {}
        for block in resolve(exits.placement, Layout(trunk, image_shape)):
            built[block] = build_head(exits.head, trunk, block, classes)
    return MultiExitNetwork(trunk, built)
