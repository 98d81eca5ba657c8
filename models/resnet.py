"""Residual networks for small images, with a 3x3 stem and no pooling before the first stage.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016 (arXiv 1512.03385): section 4.2
for the networks with three stages of 16, 32, 64 channels and 6n + 2 layers. The networks with four stages of
64 to 512 channels are the paper's ImageNet networks behind the stem of section 4.2, as the field uses them.
resnet8x4 and resnet32x4, with stages of 64, 128, 256 channels behind a stem of 32, are those of Tian, Krishnan,
Isola, "Contrastive Representation Distillation", ICLR 2020 (HobbitLong/RepDistiller, models/resnet.py).
He-normal convolutions: He et al., ICCV 2015 (arXiv 1502.01852); fan-out and PyTorch's default in the classifier are
torchvision's choice (torchvision/models/resnet.py).
"""

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from .backbone import Backbone, Block, architectures
from .layers import Pool, conv_bn, initialise


class ResidualBlock(Block):
    """A residual and a shortcut, added up and rectified; a 1x1 convolution on the shortcut where the shape changes."""

    def __init__(self, in_channels: int, residual: nn.Sequential, *, out_channels: int, stride: int) -> None:
        super().__init__(out_channels=out_channels, stride=stride)
        self.residual = residual
        self.shortcut = _shortcut(in_channels, self)

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        return F.relu(self.residual(hidden) + self.shortcut(hidden), inplace=True)


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        residual = nn.Sequential(
            conv_bn(in_channels, channels, 3, stride), nn.ReLU(inplace=True), conv_bn(channels, channels, 3)
        )
        super().__init__(in_channels, residual, out_channels=channels, stride=stride)


class BottleneckBlock(ResidualBlock):
    """1x1, 3x3 and 1x1 convolutions, the last to four times the channels, and a shortcut."""

    def __init__(
        self, in_channels: int, channels: int, stride: int, *, groups: int = 1, group_width: int | None = None
    ) -> None:
        """Of ResNet; with several groups in the 3x3 convolution, of ResNeXt.

        Args:
            in_channels: of the input.
            channels: a quarter of the output's.
            stride: of the 3x3 convolution.
            groups: of the 3x3 convolution.
            group_width: the channels of each group where `channels` is 64, and in proportion to it elsewhere.
        """
        inner = channels if group_width is None else groups * (channels * group_width // 64)
        residual = nn.Sequential(
            conv_bn(in_channels, inner, 1),
            nn.ReLU(inplace=True),
            conv_bn(inner, inner, 3, stride, groups=groups),
            nn.ReLU(inplace=True),
            conv_bn(inner, 4 * channels, 1),
        )
        super().__init__(in_channels, residual, out_channels=4 * channels, stride=stride)


def _shortcut(in_channels: int, block: Block) -> nn.Module:
    if block.stride == 1 and in_channels == block.out_channels:
        return nn.Identity()
    return conv_bn(in_channels, block.out_channels, 1, block.stride)


class ResidualBlockBuilder(Protocol):
    """Builds a block of a residual network: one of the classes above, or another family's."""

    def __call__(self, in_channels: int, channels: int, stride: int, /) -> Block:
        """A block from `in_channels` to the channels of its stage, or to an expansion of them."""
        ...


def residual_stages(
    block: ResidualBlockBuilder, lengths: Sequence[int], widths: Sequence[int], *, in_channels: int
) -> list[list[Block]]:
    """Stages of blocks; each stage but the first halves height and width.

    Args:
        block: the kind of block.
        lengths: how many blocks each stage has.
        widths: the channels of each stage's blocks, before a bottleneck's expansion.
        in_channels: what the stem gives to the first block.
    """
    stages: list[list[Block]] = []
    for number, (length, width) in enumerate(zip(lengths, widths, strict=True)):
        stages.append([])
        for position in range(length):
            stages[-1].append(block(in_channels, width, 2 if number > 0 and position == 0 else 1))
            in_channels = stages[-1][-1].out_channels
    return stages


def resnet(
    block: ResidualBlockBuilder,
    lengths: Sequence[int],
    widths: Sequence[int],
    *,
    stem_width: int,
    channels: int,
    classes: int,
) -> Backbone:
    """A residual network.

    Args:
        block: the kind of block.
        lengths: how many blocks each stage has.
        widths: the channels of each stage's blocks, before a bottleneck's expansion.
        stem_width: channels of the stem.
        channels: of the images.
        classes: number of classes.
    """
    stem = nn.Sequential(conv_bn(channels, stem_width, 3), nn.ReLU(inplace=True))
    stages = residual_stages(block, lengths, widths, in_channels=stem_width)
    width = stages[-1][-1].out_channels
    return initialise(Backbone(stem=stem, stages=stages, neck=Pool(), width=width, classes=classes))


for depth in (8, 14, 20, 32, 44, 56, 110):
    builder = partial(resnet, BasicBlock, ((depth - 2) // 6,) * 3, (16, 32, 64), stem_width=16)
    architectures.register(f"resnet{depth}")(builder)

for depth in (8, 32):
    builder = partial(resnet, BasicBlock, ((depth - 2) // 6,) * 3, (64, 128, 256), stem_width=32)
    architectures.register(f"resnet{depth}x4")(builder)

for depth, block, lengths in (
    (18, BasicBlock, (2, 2, 2, 2)),
    (34, BasicBlock, (3, 4, 6, 3)),
    (50, BottleneckBlock, (3, 4, 6, 3)),
    (101, BottleneckBlock, (3, 4, 23, 3)),
    (152, BottleneckBlock, (3, 8, 36, 3)),
):
    builder = partial(resnet, block, lengths, (64, 128, 256, 512), stem_width=64)
    architectures.register(f"resnet{depth}")(builder)
