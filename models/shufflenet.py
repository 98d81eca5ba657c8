"""ShuffleNets for small images, with a 3x3 stem of stride 1 and no pooling after it.

Zhang, Zhou, Lin, Sun, "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices", CVPR 2018
(arXiv 1707.01083), table 1 with three groups; Ma, Zhang, Zheng, Sun, "ShuffleNet V2: Practical Guidelines for
Efficient CNN Architecture Design", ECCV 2018 (arXiv 1807.11164), table 5 at 1x. After the stem of
weiaicunzai/pytorch-cifar100, all three stages down-sample, so that 32x32 images end in a 4x4 map.
Initialisation as in the authors' code, megvii-model/ShuffleNet-Series (a96672f, ShuffleNetV2/network.py); its
classifier has no bias, and here the bias is initially zero.

shufflenet_v1_crd and shufflenet_v2_crd are the students of Tian, Krishnan, Isola, "Contrastive Representation
Distillation", ICLR 2020 (HobbitLong/RepDistiller at b84f547, models/ShuffleNetv1.py and ShuffleNetv2.py). Their stem is
a 1x1 convolution. Units of version 1 are another kind of block (`CRDGroupedBlock`); those of version 2 are the same.
Weights have PyTorch's default initialisation, as there.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .architectures import BackboneBuilder
from .backbone import Backbone, Block
from .layers import Pool, conv_bn

LENGTHS = (4, 8, 4)
"""Number of blocks in each stage, in both versions."""
STEM_WIDTH = 24


class GroupedBlock(Block):
    """Unit of version 1: grouped 1x1, depthwise 3x3 and grouped 1x1 convolution, with a shuffle after the first.

    With a stride, the result is concatenated to the pooled input; otherwise it is added to the input.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, groups: int, first_groups: int) -> None:
        super().__init__(out_channels=out_channels, stride=stride)
        width = out_channels // 4
        self.residual = nn.Sequential(
            conv_bn(in_channels, width, 1, groups=first_groups),
            nn.ReLU(inplace=True),
            Shuffle(groups),
            conv_bn(width, width, 3, stride, groups=width),
            conv_bn(width, out_channels - in_channels if stride > 1 else out_channels, 1, groups=groups),
        )
        self.shortcut = nn.AvgPool2d(3, stride, padding=1) if stride > 1 else nn.Identity()

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        residual, shortcut = self.residual(hidden), self.shortcut(hidden)
        joined = torch.cat([shortcut, residual], dim=1) if self.stride > 1 else shortcut + residual
        return F.relu(joined, inplace=True)


class CRDGroupedBlock(Block):
    """Unit of version 1 in CRD's program, which differs from the paper in four places.

    The depthwise convolution is followed by a ReLU as well. With a stride, bottlenecks have a quarter of the channels
    that the convolutions add, and the pooled input is concatenated after these. The first unit of the network, whose
    first convolution has one group, does not shuffle.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, groups: int, first_groups: int) -> None:
        super().__init__(out_channels=out_channels, stride=stride)
        computed = out_channels - in_channels if stride > 1 else out_channels
        width = computed // 4
        self.residual = nn.Sequential(
            conv_bn(in_channels, width, 1, groups=first_groups),
            nn.ReLU(inplace=True),
            Shuffle(first_groups),
            conv_bn(width, width, 3, stride, groups=width),
            nn.ReLU(inplace=True),
            conv_bn(width, computed, 1, groups=groups),
        )
        self.shortcut = nn.AvgPool2d(3, stride, padding=1) if stride > 1 else nn.Identity()

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        residual, shortcut = self.residual(hidden), self.shortcut(hidden)
        joined = torch.cat([residual, shortcut], dim=1) if self.stride > 1 else residual + shortcut
        return F.relu(joined, inplace=True)


class SplitBlock(Block):
    """Unit of version 2: convolutions on half of the channels, or with a stride on two branches; then a shuffle."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__(out_channels=out_channels, stride=stride)
        half = out_channels // 2
        read = in_channels if stride > 1 else half
        self.computed = nn.Sequential(
            conv_bn(read, half, 1),
            nn.ReLU(inplace=True),
            conv_bn(half, half, 3, stride, groups=half),
            conv_bn(half, half, 1),
            nn.ReLU(inplace=True),
        )
        self.passed = nn.Identity()
        if stride > 1:
            per_channel = conv_bn(in_channels, in_channels, 3, stride, groups=in_channels)
            self.passed = nn.Sequential(per_channel, conv_bn(in_channels, half, 1), nn.ReLU(inplace=True))
        self.mix = Shuffle(2)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        passed, computed = (hidden, hidden) if self.stride > 1 else hidden.chunk(2, dim=1)
        return self.mix(torch.cat([self.passed(passed), self.computed(computed)], dim=1))


class Shuffle(nn.Module):
    """Channel shuffle: the channels of each group are distributed over all groups."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, hidden: Tensor) -> Tensor:
        """Reorder the channels of a map (N, channels, H, W)."""
        return hidden.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)


def shufflenet_v1(*, channels: int, classes: int) -> Backbone:
    """Build ShuffleNet 1x with three groups; the first 1x1 convolution, with few input channels, has one group."""
    return _initialised(_version_1(GroupedBlock, stem_size=3, channels=channels, classes=classes))


def shufflenet_v1_crd(*, channels: int, classes: int) -> Backbone:
    """Build the ShuffleNetV1 of CRD."""
    return _version_1(CRDGroupedBlock, stem_size=1, channels=channels, classes=classes)


def shufflenet_v2(*, channels: int, classes: int) -> Backbone:
    """Build ShuffleNet V2 1x."""
    return _initialised(_version_2(stem_size=3, channels=channels, classes=classes))


def shufflenet_v2_crd(*, channels: int, classes: int) -> Backbone:
    """Build the ShuffleNetV2 of CRD."""
    return _version_2(stem_size=1, channels=channels, classes=classes)


def _version_1(
    block: type[GroupedBlock] | type[CRDGroupedBlock], *, stem_size: int, channels: int, classes: int
) -> Backbone:
    stages: list[list[Block]] = []
    for length, (before, width) in zip(LENGTHS, pairwise((STEM_WIDTH, 240, 480, 960)), strict=True):
        first = block(before, width, stride=2, groups=3, first_groups=3 if stages else 1)
        stages.append([first, *(block(width, width, stride=1, groups=3, first_groups=3) for _ in range(length - 1))])
    stem = _stem(channels, stem_size)
    return Backbone(stem=stem, stages=stages, neck=Pool(), width=960, classes=classes)


def _version_2(*, stem_size: int, channels: int, classes: int) -> Backbone:
    stages: list[list[Block]] = []
    for length, (before, width) in zip(LENGTHS, pairwise((STEM_WIDTH, 116, 232, 464)), strict=True):
        first = SplitBlock(before, width, stride=2)
        stages.append([first, *(SplitBlock(width, width, stride=1) for _ in range(length - 1))])
    neck = nn.Sequential(conv_bn(464, 1024, 1), nn.ReLU(inplace=True), Pool())
    stem = _stem(channels, stem_size)
    return Backbone(stem=stem, stages=stages, neck=neck, width=1024, classes=classes)


def _stem(channels: int, size: int) -> nn.Sequential:
    return nn.Sequential(conv_bn(channels, STEM_WIDTH, size), nn.ReLU(inplace=True))


@torch.no_grad()
def _initialised(trunk: Backbone) -> Backbone:
    """Initialise a network as the authors' code does."""
    for part in trunk.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.normal_(part.weight, std=1 / part.weight.shape[1])
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.constant_(part.bias, 0.0001)
    for convolution in (part for part in trunk.stem.modules() if isinstance(part, nn.Conv2d)):
        nn.init.normal_(convolution.weight, std=0.01)
    nn.init.normal_(trunk.classifier.weight, std=0.01)
    nn.init.zeros_(trunk.classifier.bias)
    return trunk


BUILDERS: dict[str, BackboneBuilder] = {
    "shufflenet_v1": shufflenet_v1,
    "shufflenet_v1_crd": shufflenet_v1_crd,
    "shufflenet_v2": shufflenet_v2,
    "shufflenet_v2_crd": shufflenet_v2_crd,
}
