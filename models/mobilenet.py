"""MobileNetV2 for small images, with a stem and a first down-sampling stage that keep height and width.

Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018
(arXiv 1801.04381), table 2. The strides of the stem and of the blocks with 24 channels are 1, as in
kuangliu/pytorch-cifar, so that 32x32 images end in a 4x4 map. The paper gives no initialisation. That of torchvision
is used: He-normal (fan-out) convolutions, and classifier weights with a standard deviation of 0.01. Dropout is omitted.

mobilenet_v2_crd is the student of Tian, Krishnan, Isola, "Contrastive Representation Distillation", ICLR 2020
(HobbitLong/RepDistiller at b84f547, models/mobilenetv2.py, `mobile_half`). It has half of the channels except in the
last convolution, and the stem halves height and width, so that 32x32 images end in a 2x2 map. Its first block has a
1x1 convolution as well, and its activation is ReLU. Its initialisation is the same.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from .architectures import BackboneBuilder
from .backbone import Backbone, Block
from .layers import Pool, conv_bn, initialise


class InvertedResidual(Block):
    """1x1 expansion, 3x3 depthwise and 1x1 projection convolution, with a shortcut if input and output shapes agree.

    The output is normalised without an activation, which would destroy information in few channels (section 3.2 of
    the paper). The next block begins with a convolution; exits read the output in the same way (`activated`).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        expansion: int,
        *,
        activation: Callable[..., nn.Module] = nn.ReLU6,
        skips_expansion_1: bool = True,
    ) -> None:
        """Build a block.

        Args:
            in_channels: Input channels.
            out_channels: Output channels.
            stride: Stride of the depthwise convolution.
            expansion: Channels of the depthwise convolution divided by `in_channels`.
            activation: Class of the activations.
            skips_expansion_1: True if a block without expansion has no first 1x1 convolution.
        """
        super().__init__(out_channels=out_channels, stride=stride)
        width = expansion * in_channels
        self.residual = nn.Sequential()
        if expansion > 1 or not skips_expansion_1:
            self.residual.extend([conv_bn(in_channels, width, 1), activation(inplace=True)])
        self.residual.extend([conv_bn(width, width, 3, stride, groups=width), activation(inplace=True)])
        self.residual.append(conv_bn(width, out_channels, 1))
        self.adds = stride == 1 and in_channels == out_channels

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        residual = self.residual(hidden)
        return hidden + residual if self.adds else residual


def mobilenet_v2(*, channels: int, classes: int) -> Backbone:
    """Build MobileNetV2 with one stage per resolution: 16 and 24, 32, 64 and 96, 160 and 320 channels."""
    return _mobilenet_v2(InvertedResidual, nn.ReLU6, divisor=1, stem_stride=1, channels=channels, classes=classes)


def mobilenet_v2_crd(*, channels: int, classes: int) -> Backbone:
    """Build the MobileNetV2 of CRD: four stages of 8 and 12, 16, 32 and 48, 80 and 160 channels."""
    block = partial(InvertedResidual, activation=nn.ReLU, skips_expansion_1=False)
    return _mobilenet_v2(block, nn.ReLU, divisor=2, stem_stride=2, channels=channels, classes=classes)


def _mobilenet_v2(
    block: Callable[[int, int, int, int], InvertedResidual],
    activation: Callable[..., nn.Module],
    *,
    divisor: int,
    stem_stride: int,
    channels: int,
    classes: int,
) -> Backbone:
    """Build MobileNetV2 with the channels of the paper, divided by `divisor` except in the last convolution."""
    in_channels = 32 // divisor
    stem = nn.Sequential(conv_bn(channels, in_channels, 3, stem_stride), activation(inplace=True))
    stages: list[list[Block]] = [[block(in_channels, 16 // divisor, 1, 1)]]
    in_channels = 16 // divisor
    for width, length, stride in ((24, 2, 1), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)):
        if stride > 1:
            stages.append([])
        for position in range(length):
            stages[-1].append(block(in_channels, width // divisor, stride if position == 0 else 1, 6))
            in_channels = width // divisor
    neck = nn.Sequential(conv_bn(in_channels, 1280, 1), activation(inplace=True), Pool())
    trunk = initialise(
        Backbone(stem=stem, stages=stages, neck=neck, width=1280, classes=classes, stem_stride=stem_stride)
    )
    nn.init.normal_(trunk.classifier.weight, std=0.01)
    nn.init.zeros_(trunk.classifier.bias)
    return trunk


BUILDERS: dict[str, BackboneBuilder] = {"mobilenet_v2": mobilenet_v2, "mobilenet_v2_crd": mobilenet_v2_crd}
