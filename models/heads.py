"""Heads of exits. Every head ends in as many features as the network's own classifier reads."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor, nn

from ..specs import Registry
from .backbone import Backbone
from .layers import Pool, conv_bn, initialise


class ExitOutput(NamedTuple):
    """Outputs of one exit for N images."""

    logits: Tensor
    """Logits (N, classes)."""
    features: Tensor
    """Input (N, width) of the classifier."""
    map: Tensor
    """Input (N, width, h, w) of the final pooling; (N, width, 1, 1) if the exit does not end in a pooling."""


class Head(nn.Module):
    """Auxiliary classifier: `classifier(pool(body(hidden)))`."""

    def __init__(self, body: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.body = body
        self.pool = Pool()
        self.classifier = nn.Linear(width, classes)

    def forward(self, hidden: Tensor) -> ExitOutput:
        """Return the outputs of the exit for a block's output (N, channels, H, W)."""
        last_map = self.body(hidden)
        features = self.pool(last_map)
        return ExitOutput(self.classifier(features), features, last_map)


@dataclass(frozen=True, kw_only=True)
class Step:
    """Output channels and stride of one remaining stage of the backbone."""

    out_channels: int
    stride: int


class HeadBody(Protocol):
    """Function that builds the part of a head before its pooling."""

    def __call__(self, channels: int, steps: Sequence[Step]) -> nn.Module:
        """Build the body for an input with `channels` channels; the last step has the output channels."""
        ...


heads: Registry[HeadBody] = Registry("head")


@heads.register("conv")
def conv(channels: int, steps: Sequence[Step]) -> nn.Module:
    """One 3x3 convolution per remaining stage (Lee, Lee 2021, arXiv 2104.00299; authors' code at 146c9cf)."""
    body = nn.Sequential()
    for step in steps:
        body.extend([conv_bn(channels, step.out_channels, 3, step.stride), nn.ReLU(inplace=True)])
        channels = step.out_channels
    return body


@heads.register("bottleneck")
def bottleneck(channels: int, steps: Sequence[Step]) -> nn.Module:
    """1x1, 3x3 and 1x1 convolutions per remaining stage (Lee, Lee, ACCV 2022; authors' code at d6af149).

    All three have the output channels of the stage, so there is no bottleneck; the name is that of the authors.
    """
    body = nn.Sequential()
    for step in steps:
        for size, stride in ((1, 1), (3, step.stride), (1, 1)):
            body.extend([conv_bn(channels, step.out_channels, size, stride), nn.ReLU(inplace=True)])
            channels = step.out_channels
    return body


@heads.register("linear")
def linear(channels: int, steps: Sequence[Step]) -> nn.Module:
    """Global average pooling and a linear layer, without a nonlinearity."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, steps[-1].out_channels, 1))


@heads.register("mlp")
def mlp(channels: int, steps: Sequence[Step]) -> nn.Module:
    """Global average pooling and one hidden layer with the width of the final features."""
    return nn.Sequential(linear(channels, steps), nn.ReLU(inplace=True))


def build_head(name: str, trunk: Backbone, number: int, classes: int) -> Head:
    """Build the head called `name` for an exit after the block with this number."""
    block = trunk.block(number)
    steps = [_step(trunk, stage) for stage in trunk.stages if stage[0] > number]
    # All exits have as many features as the network's own classifier, even if the backbone's neck adds channels.
    steps[-1:] = [Step(out_channels=trunk.width, stride=steps[-1].stride if steps else 1)]
    body = heads[name](block.out_channels, steps)
    if not block.activated:
        body = nn.Sequential(nn.BatchNorm2d(block.out_channels), nn.ReLU(inplace=False), body)
    return initialise(Head(body, trunk.width, classes))


def _step(trunk: Backbone, stage: Sequence[int]) -> Step:
    blocks = [trunk.block(number) for number in stage]
    return Step(out_channels=blocks[-1].out_channels, stride=math.prod(block.stride for block in blocks))
