"""Modules of exits: a body, a global average pooling and a linear classifier."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..specs.user_code import is_users, refused, user_code
from .heads import CLASS_TOKEN, ConvolutionalBody, Step, check_head, heads, remaining_steps
from .layers import Classifier, Pool, conv_bn, initialise
from .layout import Layout

PROBED_SIZE = 16
"""Height and width of the map with which a user's head is checked."""


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
    body = _body(name, block.out_channels, remaining_steps(layout, number), layout.width)
    if not block.activated:
        body = nn.Sequential(nn.BatchNorm2d(block.out_channels), nn.ReLU(inplace=False), body)
    if block.prefix_tokens is not None:
        body = nn.Sequential(ClassToken() if name == CLASS_TOKEN else TokenMap(block.prefix_tokens), body)
    return initialise(Head(body, layout.width, classes))


def _body(name: str, channels: int, steps: list[Step], width: int) -> nn.Module:
    """Build the body of a head. A user's body is checked with a map without values."""
    build, subject = heads[name], f"head {name!r}"
    steps_text = ", ".join(map(str, steps))
    called = f"It was called with channels={channels} and the steps {steps_text}."
    with user_code(subject, build, received=lambda _: called, field="head"):
        body = build(channels, steps)
    if not is_users(build):
        return body
    if not isinstance(body, nn.Module):
        problem = f"returned {type(body).__name__}, not a torch.nn.Module; return the module before the pooling."
        raise refused(subject, problem, build, field="head")
    shape = (2, channels, PROBED_SIZE, PROBED_SIZE)
    received = f"It received a map {shape} float32."
    with (
        user_code(subject, build, received=lambda _: received, field="head"),
        torch.random.fork_rng(devices=[]),  # so that the network's weights do not depend on the check
        torch.device("cpu"),  # without values, messages are less clear
        torch.no_grad(),
    ):
        output = build(channels, steps).eval()(torch.zeros(shape))
    found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if not isinstance(found, tuple) or len(found) != 4 or found[:2] != (2, width):
        problem = f"returned {found} for a map {shape}; return a map (2, {width}, h, w)"
        fix = "the last step has the number of output channels: steps[-1].out_channels"
        raise refused(subject, f"{problem}; {fix}.", build, field="head")
    return body


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
