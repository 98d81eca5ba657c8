"""ResNeXts for small images: residual networks with grouped 3x3 convolutions.

Xie, Girshick, Dollár, Tu, He, "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017
(arXiv 1611.05431): section 5.3 for resnext29_8x64d (8 groups of 64 channels in the first stage, three stages of
three blocks); resnext50_32x4d and resnext101_32x4d are the paper's ImageNet networks (table 1) with the 3x3 stem of
section 5.3. Blocks have a ReLU after the addition. The authors recommend this over the pre-activation blocks of their
CIFAR experiments (README.md of facebookresearch/ResNeXt); both have the published number of parameters.
Initialisation as in the authors' models/resnext.lua: He-normal (fan-out, not divided by the groups) convolutions,
zero classifier bias.
"""

from functools import partial

from torch import nn

from .architectures import BackboneBuilder
from .backbone import Backbone
from .resnet import BottleneckBlock, resnet


def resnext(lengths: tuple[int, ...], *, groups: int, group_width: int, channels: int, classes: int) -> Backbone:
    """Build a ResNeXt with stages of 256, 512, ... channels.

    Args:
        lengths: Number of blocks in each stage.
        groups: Groups of each block's 3x3 convolution ("cardinality").
        group_width: Channels of each group in the first stage ("bottleneck width"); they double with each stage.
        channels: Channels of the images.
        classes: Number of classes.
    """
    block = partial(BottleneckBlock, groups=groups, group_width=group_width)
    widths = [64 * 2**number for number in range(len(lengths))]
    trunk = resnet(block, lengths, widths, stem_width=64, channels=channels, classes=classes)
    nn.init.zeros_(trunk.classifier.bias)
    return trunk


BUILDERS: dict[str, BackboneBuilder] = {
    f"resnext{depth}_{groups}x{group_width}d": partial(resnext, lengths, groups=groups, group_width=group_width)
    for depth, lengths, groups, group_width in (
        (29, (3, 3, 3), 8, 64),
        (50, (3, 4, 6, 3), 32, 4),
        (101, (3, 4, 23, 3), 32, 4),
    )
}
