"""Networks with exits and the function that builds them from specs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..specs import require
from .architectures import architectures
from .backbone import Backbone, Block
from .builder import backbone_from
from .exit_head import ExitOutput, build_head
from .gradient import detached, scaled_gradient
from .layers import Pool
from .network_specs import ArchitectureSpec, ExitSpec
from .placement import architecture_layout, resolve


class ExitOutputs(NamedTuple):
    """Outputs of E exits for N images, from the shallowest to the final exit."""

    logits: tuple[Tensor, ...]
    """Logits (N, classes) of each exit."""
    features: tuple[Tensor, ...]
    """Input (N, width) of each exit's classifier."""
    maps: tuple[Tensor, ...]
    """Input (N, width, h, w) of each exit's final pooling; (N, width, 1, 1) if the exit does not end in a pooling."""
    stages: tuple[Tensor, ...]
    """Output (N, channels, h, w) of each stage of the backbone, from the first to the last."""


class MultiExitNetwork(nn.Module):
    """Backbone with heads at some blocks; one forward pass gives the outputs of all exits."""

    def __init__(self, trunk: Backbone, exits: Mapping[int, nn.Module]) -> None:
        """Attach a head to each of the blocks with these numbers."""
        super().__init__()
        self.trunk = trunk
        self.exits = nn.ModuleDict({f"block{number}": head for number, head in sorted(exits.items())})
        self.exit_blocks = (*sorted(exits), len(trunk.blocks))
        """Number of the block that each exit follows, the final exit included."""
        self.gradient_equilibrium = False
        """True to balance the gradients at the taps, see `ExitSpec.gradient_equilibrium`."""
        self.isolated_exit: int | None = None
        """Number of the exit behind which no gradient flows back; None if all gradients flow."""

    def part(self, number: int) -> Iterator[nn.Module]:
        """Iterate over the modules that run between the previous exit and this one, its own head included."""
        start, end = (0, *self.exit_blocks)[number - 1 : number + 1]
        if number == 1:
            yield self.trunk.stem
        yield from self.trunk.blocks[start:end]
        if end < len(self.trunk.blocks):
            yield self.exits[f"block{end}"]
        else:
            yield from (self.trunk.neck, self.trunk.classifier)

    def forward(self, images: Tensor) -> ExitOutputs:
        """Return the outputs of all exits for images (N, channels, H, W)."""
        outputs = []
        stages: list[Tensor] = []
        hidden = images
        for number in range(1, len(self.exit_blocks) + 1):
            hidden, output = self.advance(hidden, number, stages)
            outputs.append(output)
        logits, features, maps = zip(*outputs, strict=True)
        return ExitOutputs(logits, features, maps, tuple(stages))

    def advance(self, hidden: Any, number: int, stages: list[Tensor] | None = None) -> tuple[Any, ExitOutput]:
        """Run the part of the network from the previous exit to one exit.

        Args:
            hidden: Images (N, channels, H, W) for exit 1; for other exits, the first result of the previous call.
            number: Number of the exit, from 1; the last number is the final exit.
            stages: List to which the outputs of the stages that end in this part are appended.

        Returns:
            The input of the next part, and the outputs of the exit.
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
            return self._exit(hidden, number, self.trunk.block(end))
        features = self.trunk.neck(hidden)
        last_map = hidden if isinstance(self.trunk.neck, Pool) else features[:, :, None, None]
        return hidden, ExitOutput(self.trunk.classifier(features), features, last_map)

    def _exit(self, hidden: Any, number: int, block: Block) -> tuple[Any, ExitOutput]:
        remaining = len(self.exit_blocks) - number  # exits behind this one
        if self.gradient_equilibrium:
            hidden = _scaled_tap(hidden, block, 1 / (remaining + 1))
        output = self.exits[f"block{self.exit_blocks[number - 1]}"](block.tap(hidden))
        if self.isolated_exit == number:
            hidden = detached(hidden)
        if self.gradient_equilibrium:
            hidden = _scaled_tap(hidden, block, remaining)
        return hidden, output


def _scaled_tap(hidden: Any, block: Block, factor: float) -> Any:
    """Scale the gradient of a block's output; of several maps, that of the map that an exit reads."""
    if isinstance(hidden, Tensor):
        return scaled_gradient(hidden, factor)
    tap = block.tap(hidden)
    return type(hidden)(scaled_gradient(part, factor) if part is tap else part for part in hidden)


class Cohort(nn.Module):
    """Networks of one architecture that are trained together; each counts as an exit, the last as the final exit."""

    def __init__(self, networks: Sequence[MultiExitNetwork]) -> None:
        """Combine networks that have only their final exit."""
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, images: Tensor) -> ExitOutputs:
        """Return the outputs of each network for images (N, channels, H, W); stages are those of the last network."""
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
    """Build a network with random weights that depend only on the seed; exits do not change the backbone's weights.

    Args:
        architecture: Architecture of the backbone.
        exits: Auxiliary exits. Default: none.
        image_shape: Shape (channels, height, width) of the images.
        classes: Number of classes.
        seed: Seed of the weights. PyTorch's global random state is not changed.

    Raises:
        SpecError: for a placement that the architecture does not have, or for images that are too small for it.
    """
    exits = exits or ExitSpec()
    require(image_shape[0] >= 1, "1 <= channels", channels=image_shape[0])
    require(classes >= 1, "1 <= classes", classes=classes)
    layout = architecture_layout(architecture.name, image_shape, classes)
    blocks = resolve(exits.placement, layout)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed the GPUs
        trunk = backbone_from(architectures[architecture.name], image_shape, classes)
        heads = {block: build_head(exits.head, layout, block, classes) for block in blocks}
    network = MultiExitNetwork(trunk, heads)
    network.gradient_equilibrium = exits.gradient_equilibrium
    return network
