"""MSDNet for small images, a multi-scale dense network that was designed for early exits.

Huang, Chen, Li, Wu, van der Maaten, Weinberger, "Multi-Scale Dense Networks for Resource Efficient Image
Classification", ICLR 2018 (arXiv 1703.09844): the network of appendix A for anytime prediction on CIFAR, with 24
layers, three scales and the reduction of section 4. The width of bottlenecks and the 16 channels of the stem are those
of the authors' code (gaohuang/MSDNet, kalviny/MSDNet-PyTorch), and so is the initialisation: He-normal (fan-out)
convolutions and a zero classifier bias. The loop in the PyTorch version (0b0c543, models/msdnet.py) does not reach
the layers, so that they keep PyTorch's default there.

A scale is a feature map; the next coarser scale has half its height and width. Every sequence here is ordered from the
finest scale to the coarsest. Classifiers read only the coarsest scale.
"""

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from .architectures import BackboneBuilder
from .backbone import Backbone, Block
from .layers import Pool, conv_bn, initialise

Maps = tuple[Tensor, ...]
Item = TypeVar("Item")

FACTORS = (1, 2, 4)
"""Width of each scale relative to the finest; also the ratio of a bottleneck's width to its output channels."""
GROWTH = 6
"""Channels that a layer adds to the finest scale."""
STEM_WIDTH = 16
"""Channels of the finest scale before the first layer."""
STAGES = ((4, 2, 2), (2, 2, 2, 2), (2, 2, 2, 2))
"""Number of layers of each block, by stage. All blocks of a stage keep the same number of scales."""


class Stem(nn.Module):
    """One 3x3 convolution per scale, applied to the map of the previous scale."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList()
        for number, factor in enumerate(FACTORS):
            width = STEM_WIDTH * factor
            self.scales.append(_activated(conv_bn(channels, width, 3, stride=2 if number > 0 else 1)))
            channels = width

    def forward(self, images: Tensor) -> Maps:
        """Map (N, channels, H, W) to one map per scale, from (N, 16, H, W) to (N, 64, H / 4, W / 4)."""
        maps = [images]
        for scale in self.scales:
            maps.append(scale(maps[-1]))
        return tuple(maps[1:])


class Scale(nn.Module):
    """Part of a layer at one scale; half of its new channels come from the next finer scale if one exists."""

    def __init__(self, width: int, factor: int, finer: int | None) -> None:
        """Build the part for `width * factor` channels at this scale and `width * finer` at the next finer scale."""
        super().__init__()
        growth = GROWTH * factor if finer is None else GROWTH * factor // 2
        self.same = _bottleneck(width * factor, growth, factor, stride=1)
        self.finer = None if finer is None else _bottleneck(width * finer, growth, finer, stride=2)

    def forward(self, hidden: Tensor, finer: Tensor | None) -> Tensor:
        """Map (N, width * factor, H, W) to (N, (width + 6) * factor, H, W)."""
        from_finer = [] if self.finer is None else [self.finer(finer)]
        return torch.cat([hidden, *from_finer, self.same(hidden)], dim=1)


class Layer(nn.Module):
    """Layer that adds channels to each scale; it drops the finest scales if it keeps fewer than it reads."""

    def __init__(self, width: int, kept: int, read: int) -> None:
        super().__init__()
        pairs = _with_finer(FACTORS[-read:])[-kept:]
        self.scales = nn.ModuleList(Scale(width, factor, finer) for factor, finer in pairs)

    def forward(self, maps: Maps) -> Maps:
        """Return the maps of the kept scales, each with its new channels."""
        pairs = _with_finer(maps)[-len(self.scales) :]
        return tuple(scale(hidden, finer) for scale, (hidden, finer) in zip(self.scales, pairs, strict=True))


class Transition(nn.Module):
    """1x1 convolution at each kept scale."""

    def __init__(self, width: int, out_width: int, kept: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            _activated(conv_bn(width * factor, out_width * factor, 1)) for factor in FACTORS[-kept:]
        )

    def forward(self, maps: Maps) -> Maps:
        """Return maps of the same scales with fewer channels."""
        return tuple(scale(hidden) for scale, hidden in zip(self.scales, maps, strict=True))


class MultiScaleBlock(Block):
    """Layers between two classifiers, from maps to maps."""

    def __init__(self, layers: Sequence[nn.Module], out_width: int) -> None:
        super().__init__(out_channels=out_width * FACTORS[-1], stride=1)
        self.layers = nn.Sequential(*layers)

    def forward(self, maps: Maps) -> Maps:
        """Return the maps of the scales that the block's stage keeps."""
        return self.layers(maps)

    def tap(self, hidden: Maps) -> Tensor:
        """Return the coarsest map."""
        return hidden[-1]


class Coarsest(nn.Module):
    """Selection of the coarsest map, which the classifiers read."""

    def forward(self, maps: Maps) -> Tensor:
        """Return the last map."""
        return maps[-1]


def _with_finer(scales: Sequence[Item]) -> list[tuple[Item, Item | None]]:
    return list(zip(scales, (None, *scales[:-1]), strict=True))


def _activated(convolution: nn.Module) -> nn.Sequential:
    return nn.Sequential(convolution, nn.ReLU(inplace=True))


def _bottleneck(in_channels: int, out_channels: int, factor: int, stride: int) -> nn.Sequential:
    width = min(in_channels, factor * out_channels)
    narrow, grow = conv_bn(in_channels, width, 1), conv_bn(width, out_channels, 3, stride)
    return nn.Sequential(_activated(narrow), _activated(grow))


def msdnet(*, channels: int, classes: int) -> Backbone:
    """Build MSDNet with 24 layers in 11 blocks.

    The first layer of stages 2 and 3 drops the finest scale and is followed by a transition. The paper has a
    classifier after each of `block1` to `block10`, and the final one, whose body is the neck, after `block11`.
    """
    stages: list[list[Block]] = []
    width = STEM_WIDTH
    for stage, lengths in enumerate(STAGES):
        kept = len(FACTORS) - stage
        read = min(kept + 1, len(FACTORS))
        stages.append([])
        for length in lengths:
            layers: list[nn.Module] = []
            for _ in range(length):
                layers.append(Layer(width, kept, read))
                width += GROWTH
                if read > kept:
                    layers.append(Transition(width, width // 2, kept))
                    width, read = width // 2, kept
            stages[-1].append(MultiScaleBlock(layers, width))
    neck = nn.Sequential(
        Coarsest(),
        _activated(conv_bn(width * FACTORS[-1], 128, 3, stride=2)),
        _activated(conv_bn(128, 128, 3, stride=2)),
        Pool(),
    )
    trunk = Backbone(
        stem=Stem(channels), stages=stages, neck=neck, width=128, classes=classes, stem_stride=2 ** (len(FACTORS) - 1)
    )
    nn.init.zeros_(initialise(trunk).classifier.bias)
    return trunk


BUILDERS: dict[str, BackboneBuilder] = {"msdnet": msdnet}
