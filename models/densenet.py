"""DenseNets for small images, with a 3x3 stem and no pooling before the first stage.

Huang, Liu, van der Maaten, Weinberger, "Densely Connected Convolutional Networks", CVPR 2017 (arXiv 1608.06993):
section 3 for DenseNet (k = 12, L = 40) on CIFAR, without bottleneck and compression, with a stem of 16 channels.
DenseNet-121 is the ImageNet network of table 1 (k = 32) with the stem of the paper's CIFAR networks of type BC, which
has 2k channels; this is the usual CIFAR variant. Dropout, which the paper uses without augmentation, is omitted.
Initialisation as in the authors' code, liuzhuang13/DenseNet: He-normal (fan-out) convolutions, zero classifier bias.
"""

from functools import partial

import torch
from torch import Tensor, nn

from .architectures import BackboneBuilder
from .backbone import Backbone, Block
from .layers import Pool, initialise


class DenseLayer(Block):
    """Layer that appends `growth` channels to its input, after a bottleneck of `4 * growth` channels if requested."""

    def __init__(self, in_channels: int, growth: int, *, bottleneck: bool) -> None:
        super().__init__(out_channels=in_channels + growth, stride=1, activated=False)
        if bottleneck:
            narrow, widen = _activated_conv(in_channels, 4 * growth, 1), _activated_conv(4 * growth, growth, 3)
            self.new = nn.Sequential(narrow, widen)
        else:
            self.new = _activated_conv(in_channels, growth, 3)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, in_channels + growth, H, W)."""
        return torch.cat([hidden, self.new(hidden)], dim=1)


class DenseTransition(Block):
    """1x1 convolution and average pooling at the start of each stage except the first."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(out_channels=out_channels, stride=2, activated=False)
        self.shrink = nn.Sequential(_activated_conv(in_channels, out_channels, 1), nn.AvgPool2d(2))

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / 2, W / 2)."""
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
    """Build a DenseNet.

    Args:
        lengths: Number of dense layers in each stage.
        growth: Channels that each dense layer adds (k in the paper).
        stem_width: Channels of the stem.
        bottleneck: True if each dense layer has a 1x1 convolution before its 3x3 convolution (B in the paper).
        compression: Share of the channels that a transition keeps (below 1 for type C in the paper).
        channels: Channels of the images.
        classes: Number of classes.
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


BUILDERS: dict[str, BackboneBuilder] = {
    "densenet40_12": partial(densenet, (12, 12, 12), 12, stem_width=16, bottleneck=False, compression=1.0),
    "densenet121": partial(densenet, (6, 12, 24, 16), 32, stem_width=64, bottleneck=True, compression=0.5),
}
