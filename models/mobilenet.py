"""MobileNetV2 for small images, with a stem and a first down-sampling stage that keep height and width.

Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018
(arXiv 1801.04381), table 2. The strides of the stem and of the blocks with 24 channels are 1, as in
kuangliu/pytorch-cifar, so that 32x32 images end in a 4x4 map. The paper gives no initialisation. That of torchvision
is used: He-normal (fan-out) convolutions, and classifier weights with a standard deviation of 0.01. Dropout is omitted.
"""

from torch import Tensor, nn

from .architectures import BackboneBuilder
from .backbone import Backbone, Block
from .layers import Pool, conv_bn, initialise


class InvertedResidual(Block):
    """1x1 expansion, 3x3 depthwise and 1x1 projection convolution, with a shortcut if input and output shapes agree.

    The output is normalised without an activation, which would destroy information in few channels (section 3.2 of
    the paper). The next block begins with a convolution; exits read the output in the same way (`activated`).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__(out_channels=out_channels, stride=stride)
        width = expansion * in_channels
        self.residual = nn.Sequential()
        if expansion > 1:
            self.residual.extend([conv_bn(in_channels, width, 1), nn.ReLU6(inplace=True)])
        self.residual.extend([conv_bn(width, width, 3, stride, groups=width), nn.ReLU6(inplace=True)])
        self.residual.append(conv_bn(width, out_channels, 1))
        self.adds = stride == 1 and in_channels == out_channels

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        residual = self.residual(hidden)
        return hidden + residual if self.adds else residual


def mobilenet_v2(*, channels: int, classes: int) -> Backbone:
    """Build MobileNetV2 with one stage per resolution: 16 and 24, 32, 64 and 96, 160 and 320 channels."""
    stem = nn.Sequential(conv_bn(channels, 32, 3), nn.ReLU6(inplace=True))
    stages: list[list[Block]] = [[InvertedResidual(32, 16, stride=1, expansion=1)]]
    in_channels = 16
    for width, length, stride in ((24, 2, 1), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)):
        if stride > 1:
            stages.append([])
        for position in range(length):
            stages[-1].append(InvertedResidual(in_channels, width, stride if position == 0 else 1, expansion=6))
            in_channels = width
    neck = nn.Sequential(conv_bn(in_channels, 1280, 1), nn.ReLU6(inplace=True), Pool())
    trunk = initialise(Backbone(stem=stem, stages=stages, neck=neck, width=1280, classes=classes))
    nn.init.normal_(trunk.classifier.weight, std=0.01)
    nn.init.zeros_(trunk.classifier.bias)
    return trunk


BUILDERS: dict[str, BackboneBuilder] = {"mobilenet_v2": mobilenet_v2}
