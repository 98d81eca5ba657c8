"""Densely connected networks for small images, with a 3x3 stem and no pooling before the first stage.

Huang, Liu, van der Maaten, Weinberger, "Densely Connected Convolutional Networks", CVPR 2017 (arXiv 1608.06993):
section 3 for DenseNet (k = 12, L = 40) on CIFAR, without bottleneck and compression, behind a stem of 16 channels.
DenseNet-121 is table 1's ImageNet network (k = 32) with the stem of the paper's CIFAR networks of type BC, which has
2k channels, as the field uses it. Dropout, which the paper needs without augmentation, is left out.
He-normal (fan-out) convolutions and a classifier without initial bias: the authors' program, liuzhuang13/DenseNet.
"""

from functools import partial

import torch
from torch import Tensor, nn

from .backbone import Backbone, Block, architectures
from .layers import Pool, initialise


class DenseLayer(Block):
    """Appends `growth` channels to what it reads; a bottleneck narrows that to four times as many first."""

    def __init__(self, in_channels: int, growth: int, *, bottleneck: bool) -> None:
        super().__init__(out_channels=in_channels + growth, stride=1, activated=False)
        if bottleneck:
            narrow, widen = _activated_conv(in_channels, 4 * growth, 1), _activated_conv(4 * growth, growth, 3)
            self.new = nn.Sequential(narrow, widen)
        else:
            self.new = _activated_conv(in_channels, growth, 3)

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, in_channels + growth, H, W)."""
        return torch.cat([hidden, self.new(hidden)], dim=1)


class DenseTransition(Block):
    """A 1x1 convolution and average pooling, with which every stage but the first begins."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(out_channels=out_channels, stride=2, activated=False)
        self.shrink = nn.Sequential(_activated_conv(in_channels, out_channels, 1), nn.AvgPool2d(2))

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H / 2, W / 2)."""
        return self.shrink(hidden)


def _activated_conv(in_channels: int, out_channels: int, size: int) -> nn.Sequential:
    convolution = nn.Conv2d(in_channels, out_channels, size, padding=size // 2, bias=False)
    return nn.Sequential(nn.BatchNorm2d(in_channels), nn.ReLU(inplace=True), convolution)


def densenet(
    lengths: tuple[int, ...],
    growth: int,
    *,
    stem_width: int,
    bottleneck: bool,
    compression: float,
    channels: int,
    classes: int,
) -> Backbone:
    """A densely connected network.

    Args:
        lengths: how many dense layers each stage has.
        growth: channels that each of them adds (k in the paper).
        stem_width: channels of the stem.
        bottleneck: whether each dense layer has a 1x1 convolution before its 3x3 one (B in the paper).
        compression: share of the channels that a transition keeps (C in the paper, where it is below 1).
        channels: of the images.
        classes: number of classes.
    """
    stem = nn.Conv2d(channels, stem_width, 3, padding=1, bias=False)
    stages: list[list[Block]] = []
    width = stem_width
    for length in lengths:
        kept = int(width * compression) if stages else width
        stages.append([DenseTransition(width, kept)] if stages else [])
        stages[-1].extend(DenseLayer(kept + number * growth, growth, bottleneck=bottleneck) for number in range(length))
        width = kept + length * growth
    neck = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(inplace=True), Pool())
    trunk = initialise(Backbone(stem=stem, stages=stages, neck=neck, width=width, classes=classes))
    nn.init.zeros_(trunk.classifier.bias)
    return trunk


architectures.register("densenet40_12")(
    partial(densenet, (12, 12, 12), 12, stem_width=16, bottleneck=False, compression=1.0)
)
architectures.register("densenet121")(
    partial(densenet, (6, 12, 24, 16), 32, stem_width=64, bottleneck=True, compression=0.5)
)
