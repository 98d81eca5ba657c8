"""Residual networks for small images, with a 3x3 stem and no pooling before the first stage.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016 (arXiv 1512.03385): section 4.2
for the networks with three stages of 16, 32, 64 channels and 6n + 2 layers. The networks with four stages of
64 to 512 channels are the paper's ImageNet networks with the stem of section 4.2, the usual CIFAR variant.
resnet8x4 and resnet32x4, with stages of 64, 128, 256 channels after a stem of 32, are those of Tian, Krishnan,
Isola, "Contrastive Representation Distillation", ICLR 2020 (HobbitLong/RepDistiller, models/resnet.py).
resnet18_eed is the network of the authors of exit-ensemble distillation: a resnet18 without a ReLU after the stem
(hjdw2/Exit-Ensemble-Distillation at 7825885, resnet.py).
Initialisation: He-normal convolutions (He et al., ICCV 2015, arXiv 1502.01852); fan-out and PyTorch's default in the
classifier as in torchvision (torchvision/models/resnet.py).
"""

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from .architectures import BackboneBuilder
from .backbone import Backbone, Block
from .layers import Pool, conv_bn, initialise


class ResidualBlock(Block):
    """Sum of a residual and a shortcut, with a ReLU; the shortcut has a 1x1 convolution if the shape changes."""

    def __init__(self, in_channels: int, residual: nn.Sequential, *, out_channels: int, stride: int) -> None:
        super().__init__(out_channels=out_channels, stride=stride)
        self.residual = residual
        self.shortcut = _shortcut(in_channels, self)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        return F.relu(self.residual(hidden) + self.shortcut(hidden), inplace=True)


class BasicBlock(ResidualBlock):
    """Residual block of two 3x3 convolutions."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        residual = nn.Sequential(
            conv_bn(in_channels, channels, 3, stride), nn.ReLU(inplace=True), conv_bn(channels, channels, 3)
        )
        super().__init__(in_channels, residual, out_channels=channels, stride=stride)


class BottleneckBlock(ResidualBlock):
    """Residual block of 1x1, 3x3 and 1x1 convolutions with `4 * channels` output channels."""

    def __init__(
        self, in_channels: int, channels: int, stride: int, *, groups: int = 1, group_width: int | None = None
    ) -> None:
        """Build a block of ResNet, or of ResNeXt if the 3x3 convolution has several groups.

        Args:
            in_channels: Input channels.
            channels: Output channels divided by 4.
            stride: Stride of the 3x3 convolution.
            groups: Groups of the 3x3 convolution.
            group_width: Channels of each group for `channels` 64; they grow in proportion to `channels`.
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
    """Function that builds a block of a residual network, such as a class above or that of another family."""

    def __call__(self, in_channels: int, channels: int, stride: int, /) -> Block:
        """Build a block from `in_channels` to the channels of its stage, or to a multiple of them."""
        ...


def residual_stages(
    block: ResidualBlockBuilder, lengths: Sequence[int], widths: Sequence[int], *, in_channels: int
) -> list[list[Block]]:
    """Build the stages of a residual network; each stage except the first halves height and width.

    Args:
        block: Function that builds a block.
        lengths: Number of blocks in each stage.
        widths: Channels of the blocks in each stage, before the expansion of a bottleneck.
        in_channels: Output channels of the stem.
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
    activated_stem: bool = True,
) -> Backbone:
    """Build a residual network.

    Args:
        block: Function that builds a block.
        lengths: Number of blocks in each stage.
        widths: Channels of the blocks in each stage, before the expansion of a bottleneck.
        stem_width: Channels of the stem.
        channels: Channels of the images.
        classes: Number of classes.
        activated_stem: False to leave the ReLU of the stem out.
    """
    activation = nn.ReLU(inplace=True) if activated_stem else nn.Identity()
    stem = nn.Sequential(conv_bn(channels, stem_width, 3), activation)
    stages = residual_stages(block, lengths, widths, in_channels=stem_width)
    width = stages[-1][-1].out_channels
    return initialise(Backbone(stem=stem, stages=stages, neck=Pool(), width=width, classes=classes))


BUILDERS: dict[str, BackboneBuilder] = {
    **{
        f"resnet{depth}": partial(resnet, BasicBlock, ((depth - 2) // 6,) * 3, (16, 32, 64), stem_width=16)
        for depth in (8, 14, 20, 32, 44, 56, 110)
    },
    **{
        f"resnet{depth}x4": partial(resnet, BasicBlock, ((depth - 2) // 6,) * 3, (64, 128, 256), stem_width=32)
        for depth in (8, 32)
    },
    **{
        f"resnet{depth}": partial(resnet, block, lengths, (64, 128, 256, 512), stem_width=64)
        for depth, block, lengths in (
            (18, BasicBlock, (2, 2, 2, 2)),
            (34, BasicBlock, (3, 4, 6, 3)),
            (50, BottleneckBlock, (3, 4, 6, 3)),
            (101, BottleneckBlock, (3, 4, 23, 3)),
            (152, BottleneckBlock, (3, 8, 36, 3)),
        )
    },
    "resnet18_eed": partial(resnet, BasicBlock, (2, 2, 2, 2), (64, 128, 256, 512), stem_width=64, activated_stem=False),
}
