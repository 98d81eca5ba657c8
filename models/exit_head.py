"""Modules of exits: a body, a global average pooling and a linear classifier."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from .heads import CLASS_TOKEN, ConvolutionalBody, Step, check_head, heads, remaining_steps
from .layers import Classifier, Pool, conv_bn, initialise
from .layout import Layout


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
        self.classifier = Classifier(width, classes)

    def forward(self, hidden: Tensor) -> ExitOutput:
        """Return the outputs of the exit for a block's output (N, channels, H, W)."""
        last_map = self.body(hidden)
        features = self.pool(last_map)
        return ExitOutput(self.classifier(features), features, last_map)


def build_head(name: str, layout: Layout, number: int, classes: int) -> Head:
    """Build the head called `name` for an exit after the block with this number."""
    check_head(name, layout, number)
    block = layout.blocks[number - 1]
    body = heads[name](block.out_channels, remaining_steps(layout, number))
    if not block.activated:
        body = nn.Sequential(nn.BatchNorm2d(block.out_channels), nn.ReLU(inplace=False), body)
    if block.prefix_tokens is not None:
        body = nn.Sequential(ClassToken() if name == CLASS_TOKEN else TokenMap(block.prefix_tokens), body)
    return initialise(Head(body, layout.width, classes))


class TokenMap(nn.Module):
    """Map (N, C, h, w) of the tokens of an image, from all tokens (N, C, L, 1)."""

    def __init__(self, prefix: int) -> None:
        """Drop the first `prefix` tokens; the others are the rows of a square."""
        super().__init__()
        self.prefix = prefix

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (N, C, L, 1) to (N, C, side, side)."""
        side = math.isqrt(tokens.shape[2] - self.prefix)
        return tokens[:, :, self.prefix :].reshape(-1, tokens.shape[1], side, side)


class ClassToken(nn.Module):
    """First token (N, C, 1, 1) of all tokens (N, C, L, 1)."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (N, C, L, 1) to (N, C, 1, 1)."""
        return tokens[:, :, :1]


def convolutional_body(declared: ConvolutionalBody, channels: int, steps: Sequence[Step]) -> nn.Module:
    """Build the module of a declared row of convolutions for an input with `channels` channels."""
    body = nn.Sequential(nn.AdaptiveAvgPool2d(1)) if declared.pooled else nn.Sequential()
    for size, out_channels, stride in declared.row(steps):
        if declared.pooled:
            body.append(nn.Conv2d(channels, out_channels, size, stride, padding=size // 2))
        else:
            body.extend([conv_bn(channels, out_channels, size, stride), nn.ReLU(inplace=True)])
        channels = out_channels
    return nn.Sequential(body, nn.ReLU(inplace=True)) if declared.pooled and declared.activated else body
