"""Pre-activation residual networks for small images.

He, Zhang, Ren, Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016 (arXiv 1603.05027): normalisation and
activation before each convolution and after the last block. As in the authors' code (KaimingHe/resnet-1k-layers,
resnet-pre-act.lua), the shortcut is the input of the block; if the shape changes, it is a 1x1 convolution of the first
activation. preact_resnet18 and preact_resnet50 are the usual four-stage networks for CIFAR (kuangliu/pytorch-cifar,
models/preact_resnet.py). That code omits the last normalisation and activation. As there, bottlenecks have their
stride in the 3x3 convolution; the authors have it in the first 1x1 convolution.
Initialisation as in the authors' code: He-normal (fan-out) convolutions, zero classifier bias.
"""

import math
from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from .architectures import BackboneBuilder
from .backbone import Backbone, Block
from .heads import Convolution
from .layers import Pool, initialise
from .resnet import ResidualBlockBuilder, residual_stages


class PreActivationBlock(Block):
    """Block of convolutions, each after a normalisation and an activation, with a shortcut."""

    def __init__(self, in_channels: int, convolutions: Sequence[Convolution]) -> None:
        stride = math.prod(convolution.stride for convolution in convolutions)
        super().__init__(out_channels=convolutions[-1].out_channels, stride=stride, activated=False)
        self.activation = _activation(in_channels)
        self.shortcut = None
        if stride != 1 or in_channels != self.out_channels:
            self.shortcut = nn.Conv2d(in_channels, self.out_channels, 1, stride, bias=False)
        self.residual = nn.Sequential()
        for size, out_channels, step in convolutions:
            if len(self.residual):
                self.residual.append(_activation(in_channels))
            self.residual.append(nn.Conv2d(in_channels, out_channels, size, step, padding=size // 2, bias=False))
            in_channels = out_channels

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        activated = self.activation(hidden)
        shortcut = hidden if self.shortcut is None else self.shortcut(activated)
        return self.residual(activated) + shortcut


def _activation(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def basic(in_channels: int, channels: int, stride: int, /) -> PreActivationBlock:
    """Build a block of two 3x3 convolutions."""
    return PreActivationBlock(in_channels, (Convolution(3, channels, stride), Convolution(3, channels)))


def bottleneck(in_channels: int, channels: int, stride: int, /) -> PreActivationBlock:
    """Build a block of 1x1, 3x3 and 1x1 convolutions with `4 * channels` output channels."""
    convolutions = (Convolution(1, channels), Convolution(3, channels, stride), Convolution(1, 4 * channels))
    return PreActivationBlock(in_channels, convolutions)


def preact_resnet(
    block: ResidualBlockBuilder,
    lengths: Sequence[int],
    widths: Sequence[int],
    *,
    stem_width: int,
    channels: int,
    classes: int,
) -> Backbone:
    """Build a pre-activation residual network, which can be wide; the arguments are those of `resnet`."""
    stem = nn.Conv2d(channels, stem_width, 3, padding=1, bias=False)
    stages = residual_stages(block, lengths, widths, in_channels=stem_width)
    width = stages[-1][-1].out_channels
    neck = nn.Sequential(_activation(width), Pool())
    trunk = initialise(Backbone(stem=stem, stages=stages, neck=neck, width=width, classes=classes))
    nn.init.zeros_(trunk.classifier.bias)
    return trunk


BUILDERS: dict[str, BackboneBuilder] = {
    f"preact_resnet{depth}": partial(preact_resnet, block, lengths, (64, 128, 256, 512), stem_width=64)
    for depth, block, lengths in ((18, basic, (2, 2, 2, 2)), (50, bottleneck, (3, 4, 6, 3)))
}
