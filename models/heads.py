"""Heads of exits, and their cost. Every head ends in as many features as the network's own classifier reads.

A built-in head is a row of convolutions: its module and its cost follow from the row. Its module is built with torch,
its cost is computed without.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..specs import Registry, SpecError
from ..specs.user_code import user_code

if TYPE_CHECKING:
    from torch import nn

    from .layout import Layout


@dataclass(frozen=True, kw_only=True)
class Step:
    """Output channels and stride of one remaining stage of the backbone."""

    out_channels: int
    stride: int


class Convolution(NamedTuple):
    """Kernel size, output channels and stride of a convolution with a padding of `size // 2` pixels."""

    size: int
    out_channels: int
    stride: int = 1


class HeadBody(Protocol):
    """Function that builds the part of a head before its pooling."""

    def __call__(self, channels: int, steps: Sequence[Step]) -> nn.Module:
        """Build the body for an input with `channels` channels; the last step has the output channels."""
        ...


class ConvolutionalBody:
    """Body of a head that is a row of convolutions, each with a normalisation and a ReLU.

    A pooled body averages the whole map first. Its convolutions have a bias instead of normalisation and ReLU.
    """

    def __init__(
        self, row: Callable[[Sequence[Step]], Iterable[Convolution]], *, pooled: bool = False, activated: bool = True
    ) -> None:
        """Declare a body.

        Args:
            row: Function from the remaining stages to the convolutions.
            pooled: True if the convolutions read the average of the map.
            activated: True if a pooled body ends in a ReLU.
        """
        functools.update_wrapper(self, row)
        self.row = row
        self.pooled = pooled
        self.activated = activated

    def __call__(self, channels: int, steps: Sequence[Step]) -> nn.Module:
        """Build the module for an input with `channels` channels."""
        from .exit_head import convolutional_body  # noqa: PLC0415 (imports torch)

        return convolutional_body(self, channels, steps)

    def multiply_adds(self, shape: tuple[int, ...], steps: Sequence[Step]) -> int:
        """Return the multiply-adds of one map (channels, height, width)."""
        channels, *size = shape
        if self.pooled:
            size = [1, 1]
        total = 0
        for kernel, out_channels, stride in self.row(steps):
            size = [-(-length // stride) for length in size]
            total += math.prod(size) * out_channels * channels * kernel**2
            channels = out_channels
        return total


heads: Registry[HeadBody] = Registry("head")


@heads.register("conv")
@ConvolutionalBody
def conv(steps: Sequence[Step]) -> Iterator[Convolution]:
    """One 3x3 convolution per remaining stage (Lee, Lee 2021, arXiv 2104.00299; authors' code at 146c9cf)."""
    for step in steps:
        yield Convolution(3, step.out_channels, step.stride)


@heads.register("bottleneck")
@ConvolutionalBody
def bottleneck(steps: Sequence[Step]) -> Iterator[Convolution]:
    """1x1, 3x3 and 1x1 convolutions per remaining stage (Lee, Lee, ACCV 2022; authors' code at d6af149).

    All three have the output channels of the stage, so there is no bottleneck; the name is that of the authors.
    """
    for step in steps:
        yield Convolution(1, step.out_channels)
        yield Convolution(3, step.out_channels, step.stride)
        yield Convolution(1, step.out_channels)


@heads.register("linear")
@functools.partial(ConvolutionalBody, pooled=True, activated=False)
def linear(steps: Sequence[Step]) -> Iterator[Convolution]:
    """Global average pooling and a linear layer, without a nonlinearity."""
    yield Convolution(1, steps[-1].out_channels)


@heads.register("mlp")
@functools.partial(ConvolutionalBody, pooled=True)
def mlp(steps: Sequence[Step]) -> Iterator[Convolution]:
    """Global average pooling and one hidden layer with the width of the final features."""
    yield Convolution(1, steps[-1].out_channels)


CLASS_TOKEN = "class_token"


@heads.register(CLASS_TOKEN)
@functools.partial(ConvolutionalBody, pooled=True, activated=False)
def class_token(steps: Sequence[Step]) -> Iterator[Convolution]:
    """Class token of a vision transformer and a linear layer; other heads read the tokens of the image."""
    yield Convolution(1, steps[-1].out_channels)


def check_head(name: str, layout: Layout, number: int) -> None:
    """Raise `SpecError` if the head called `name` cannot read the output of the block with this number."""
    if name == CLASS_TOKEN and not layout.blocks[number - 1].prefix_tokens:
        message = f"head {name}: the output of block{number} has no class token; use linear or another head."
        raise SpecError(message, field="head")


def remaining_steps(layout: Layout, number: int) -> list[Step]:
    """Return the steps of a head after the block with this number: one for each later stage, at least one."""
    steps = [_step(layout, stage) for stage in layout.stages if stage[0] > number]
    # All exits have as many features as the network's own classifier, even if the backbone's neck adds channels.
    steps[-1:] = [Step(out_channels=layout.width, stride=steps[-1].stride if steps else 1)]
    return steps


def head_multiply_adds(name: str, layout: Layout, number: int, classes: int) -> int:
    """Return the multiply-adds of the head called `name` after the block with this number, for one image.

    A head that is no row of convolutions is built and measured.
    """
    check_head(name, layout, number)
    shape = layout.cost.taps[number - 1]
    if (prefix := layout.blocks[number - 1].prefix_tokens) is not None:
        side = math.isqrt(shape[1] - prefix)
        shape = (shape[0], side, side)
    body = heads[name]
    if isinstance(body, ConvolutionalBody):
        return body.multiply_adds(shape, remaining_steps(layout, number)) + layout.width * classes
    from .cost import multiply_adds  # noqa: PLC0415 (imports torch)
    from .exit_head import build_head  # noqa: PLC0415
    from .layers import without_weights  # noqa: PLC0415

    with without_weights(), user_code(f"head {name!r}", body, field="head"):
        return multiply_adds(build_head(name, layout, number, classes), (1, *layout.cost.taps[number - 1]))


def _step(layout: Layout, stage: Sequence[int]) -> Step:
    blocks = [layout.blocks[number - 1] for number in stage]
    return Step(out_channels=blocks[-1].out_channels, stride=math.prod(block.stride for block in blocks))
