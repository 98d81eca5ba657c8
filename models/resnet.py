"""Residual networks for small images, with a 3x3 stem and no pooling before the first stage.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016 (arXiv 1512.03385): section 4.2
for the networks with three stages of 16, 32, 64 channels and 6n + 2 layers. The networks with four stages of
64 to 512 channels are the paper's ImageNet networks behind the stem of section 4.2, as the field uses them.
He-normal (fan-out) convolutions: He et al., ICCV 2015 (arXiv 1502.01852).
"""

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from .layers import Pool, conv_bn, initialise
from .trunk import Block, Trunk, architectures


class BasicBlock(Block):
    """Two 3x3 convolutions and a shortcut; a 1x1 convolution on the shortcut where the shape changes."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__(out_channels=channels, stride=stride)
        self.residual = nn.Sequential(
            conv_bn(in_channels, channels, 3, stride), nn.ReLU(inplace=True), conv_bn(channels, channels, 3)
        )
        self.shortcut = _shortcut(in_channels, self)

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        return F.relu(self.residual(hidden) + self.shortcut(hidden), inplace=True)


class BottleneckBlock(Block):
    """1x1, 3x3 and 1x1 convolutions, the last four times as wide, and a shortcut."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__(out_channels=channels * self.expansion, stride=stride)
        self.residual = nn.Sequential(
            conv_bn(in_channels, channels, 1),
            nn.ReLU(inplace=True),
            conv_bn(channels, channels, 3, stride),
            nn.ReLU(inplace=True),
            conv_bn(channels, self.out_channels, 1),
        )
        self.shortcut = _shortcut(in_channels, self)

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        return F.relu(self.residual(hidden) + self.shortcut(hidden), inplace=True)


def _shortcut(in_channels: int, block: Block) -> nn.Module:
    if block.stride == 1 and in_channels == block.out_channels:
        return nn.Identity()
    return conv_bn(in_channels, block.out_channels, 1, block.stride)


def resnet(
    block: type[BasicBlock | BottleneckBlock],
    lengths: tuple[int, ...],
    widths: tuple[int, ...],
    *,
    stem_width: int | None = None,
    channels: int,
    classes: int,
) -> Trunk:
    """A residual network.

    Args:
        block: the kind of block.
        lengths: how many blocks each stage has.
        widths: the channels of each stage's blocks, before a bottleneck's expansion.
        stem_width: channels of the stem; the first stage's if left out.
        channels: of the images.
        classes: number of classes.
    """
    in_channels = stem_width or widths[0]
    stem = nn.Sequential(conv_bn(channels, in_channels, 3), nn.ReLU(inplace=True))
    stages: list[list[Block]] = []
    for number, (length, width) in enumerate(zip(lengths, widths, strict=True)):
        stages.append([])
        for position in range(length):
            stages[-1].append(block(in_channels, width, stride=2 if number > 0 and position == 0 else 1))
            in_channels = stages[-1][-1].out_channels
    return initialise(Trunk(stem=stem, stages=stages, neck=Pool(), width=in_channels, classes=classes))


for depth in (8, 14, 20, 32, 44, 56, 110):
    per_stage = (depth - 2) // 6
    builder = partial(resnet, BasicBlock, (per_stage,) * 3, (16, 32, 64))
    architectures.register(f"resnet{depth}")(builder)

for depth, block, lengths in (
    (18, BasicBlock, (2, 2, 2, 2)),
    (34, BasicBlock, (3, 4, 6, 3)),
    (50, BottleneckBlock, (3, 4, 6, 3)),
    (101, BottleneckBlock, (3, 4, 23, 3)),
    (152, BottleneckBlock, (3, 8, 36, 3)),
):
    builder = partial(resnet, block, lengths, (64, 128, 256, 512), stem_width=64)
    architectures.register(f"resnet{depth}")(builder)
