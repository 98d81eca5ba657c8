"""Residual networks whose 3x3 convolutions are grouped, for small images.

Xie, Girshick, Dollár, Tu, He, "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017
(arXiv 1611.05431): section 5.3 for resnext29_8x64d (8 groups of 64 channels in the first stage, three stages of
three blocks); resnext50_32x4d and resnext101_32x4d are the paper's ImageNet networks (table 1) behind the 3x3 stem
of section 5.3. Blocks are rectified after the addition, which the authors recommend over the pre-activated ones of
their CIFAR experiments (README.md of facebookresearch/ResNeXt); both have the published number of parameters.
Weights as the authors' models/resnext.lua draws them: He-normal (fan-out, not divided by the groups) convolutions,
no bias in the classifier to begin with.
"""

from functools import partial

from torch import nn

from .backbone import Backbone, architectures
from .resnet import BottleneckBlock, resnet


def resnext(lengths: tuple[int, ...], *, groups: int, group_width: int, channels: int, classes: int) -> Backbone:
    """A residual network with stages of 256, 512, ... channels.

    Args:
        lengths: how many blocks each stage has.
        groups: of each block's 3x3 convolution ("cardinality").
        group_width: channels of each group in the first stage ("bottleneck width"); they double with every stage.
        channels: of the images.
        classes: number of classes.
    """
    block = partial(BottleneckBlock, groups=groups, group_width=group_width)
    widths = [64 * 2**number for number in range(len(lengths))]
    trunk = resnet(block, lengths, widths, stem_width=64, channels=channels, classes=classes)
    nn.init.zeros_(trunk.classifier.bias)
    return trunk


for depth, lengths, groups, group_width in (
    (29, (3, 3, 3), 8, 64),
    (50, (3, 4, 6, 3), 32, 4),
    (101, (3, 4, 23, 3), 32, 4),
):
    builder = partial(resnext, lengths, groups=groups, group_width=group_width)
    architectures.register(f"resnext{depth}_{groups}x{group_width}d")(builder)
