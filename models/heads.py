"""What an exit is made of. Every head ends in as many features as the network's own classifier reads."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from ..specs import Registry
from .layers import Pool, conv_bn, initialise
from .trunk import Block, Trunk


class Head(nn.Module):
    """An auxiliary classifier: `classifier(pool(body(hidden)))`."""

    def __init__(self, body: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.body = body
        self.pool = Pool()
        self.classifier = nn.Linear(width, classes)

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, classes) and features (N, width) of a block's output (N, channels, H, W)."""
        features = self.pool(self.body(hidden))
        return self.classifier(features), features


class HeadBody(Protocol):
    """Builds what a head does before its pooling."""

    def __call__(self, channels: int, steps: Sequence[tuple[int, int]]) -> nn.Module:
        """From a map of so many channels; a step is the (channels, stride) of each remaining stage."""
        ...


heads: Registry[HeadBody] = Registry("head")


@heads.register("conv")
def conv(channels: int, steps: Sequence[tuple[int, int]]) -> nn.Module:
    """One 3x3 convolution per remaining stage (Lee, Lee 2021, arXiv 2104.00299; the authors' program, 146c9cf)."""
    body = nn.Sequential()
    for out_channels, stride in steps:
        body.extend([conv_bn(channels, out_channels, 3, stride), nn.ReLU(inplace=True)])
        channels = out_channels
    return body


def build_head(name: str, trunk: Trunk, block: int, classes: int) -> Head:
    """The head called `name` for an exit after the block with this number."""
    blocks: list[Block] = list(trunk.blocks)  # type: ignore[arg-type]
    steps = []
    for stage in trunk.stages:
        if stage[0] > block:
            stride = 1
            for number in stage:
                stride *= blocks[number - 1].stride
            steps.append((blocks[stage[-1] - 1].out_channels, stride))
    body = heads[name](blocks[block - 1].out_channels, steps)
    return initialise(Head(body, trunk.width, classes))
