"""The multi-scale dense network for small images, which its authors made for exits.

Huang, Chen, Li, Wu, van der Maaten, Weinberger, "Multi-Scale Dense Networks for Resource Efficient Image
Classification", ICLR 2018 (arXiv 1703.09844): the network of appendix A for anytime prediction on CIFAR, of 24 layers
over three scales, with the reduction of section 4, and what the authors' programs add (gaohuang/MSDNet,
kalviny/MSDNet-PyTorch): how wide bottlenecks are and that 16 channels come out of the stem.
He-normal (fan-out) convolutions and a classifier without initial bias: the same programs; that in PyTorch means to,
but its loop (0b0c543, models/msdnet.py) ends one level above the layers and leaves them as PyTorch draws them.

A scale is a map of features; the next coarser one has half its height and width. Every sequence here goes from the
finest scale to the coarsest, which alone is read by classifiers.
"""

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from .backbone import Backbone, Block, architectures
from .layers import Pool, conv_bn, initialise

Maps = tuple[Tensor, ...]
Item = TypeVar("Item")

FACTORS = (1, 2, 4)
"""How many times as wide as the finest each scale is; its bottlenecks widen what they lead to as much."""
GROWTH = 6
"""Channels that a layer adds to the finest scale."""
STEM_WIDTH = 16
"""Channels of the finest scale before the first layer."""
STAGES = ((4, 2, 2), (2, 2, 2, 2), (2, 2, 2, 2))
"""How many layers each block has. The paper has a classifier after each; a stage is what keeps as many scales."""


class Stem(nn.Module):
    """A 3x3 convolution per scale, each reading the map of the one before."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList()
        for number, factor in enumerate(FACTORS):
            width = STEM_WIDTH * factor
            self.scales.append(_activated(conv_bn(channels, width, 3, stride=2 if number > 0 else 1)))
            channels = width

    def forward(self, images: Tensor) -> Maps:
        """(N, channels, H, W) to a map per scale, from (N, 16, H, W) to (N, 64, H / 4, W / 4)."""
        maps = [images]
        for scale in self.scales:
            maps.append(scale(maps[-1]))
        return tuple(maps[1:])


class Scale(nn.Module):
    """A layer's part at one scale: new channels, half of them from the next finer scale if there is one."""

    def __init__(self, width: int, factor: int, finer: int | None) -> None:
        """Reads `width` channels per factor of this scale and, if given, of the next finer one."""
        super().__init__()
        growth = GROWTH * factor if finer is None else GROWTH * factor // 2
        self.same = _bottleneck(width * factor, growth, factor, stride=1)
        self.finer = None if finer is None else _bottleneck(width * finer, growth, finer, stride=2)

    def forward(self, hidden: Tensor, finer: Tensor | None) -> Tensor:
        """(N, width * factor, H, W) to (N, (width + 6) * factor, H, W)."""
        from_finer = [] if self.finer is None else [self.finer(finer)]
        return torch.cat([hidden, *from_finer, self.same(hidden)], dim=1)


class Layer(nn.Module):
    """Adds channels to each scale; where it keeps fewer scales than it reads, the finest ones end here."""

    def __init__(self, width: int, kept: int, read: int) -> None:
        super().__init__()
        pairs = _with_finer(FACTORS[-read:])[-kept:]
        self.scales = nn.ModuleList(Scale(width, factor, finer) for factor, finer in pairs)

    def forward(self, maps: Maps) -> Maps:
        """As many of the maps as it has scales, each with its new channels."""
        pairs = _with_finer(maps)[-len(self.scales) :]
        return tuple(scale(hidden, finer) for scale, (hidden, finer) in zip(self.scales, pairs, strict=True))


class Transition(nn.Module):
    """A 1x1 convolution at each scale that is left."""

    def __init__(self, width: int, out_width: int, kept: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            _activated(conv_bn(width * factor, out_width * factor, 1)) for factor in FACTORS[-kept:]
        )

    def forward(self, maps: Maps) -> Maps:
        """Narrower maps of the same scales."""
        return tuple(scale(hidden) for scale, hidden in zip(self.scales, maps, strict=True))


class MultiScaleBlock(Block):
    """The layers between two classifiers; maps in, maps out."""

    def __init__(self, layers: Sequence[nn.Module], out_width: int) -> None:
        super().__init__(out_channels=out_width * FACTORS[-1], stride=1)
        self.layers = nn.Sequential(*layers)

    def forward(self, maps: Maps) -> Maps:
        """As many maps as the block's stage keeps."""
        return self.layers(maps)

    def tap(self, hidden: Maps) -> Tensor:
        """The coarsest map."""
        return hidden[-1]


class Coarsest(nn.Module):
    """What classifiers read."""

    def forward(self, maps: Maps) -> Tensor:
        """The last of the maps."""
        return maps[-1]


def _with_finer(scales: Sequence[Item]) -> list[tuple[Item, Item | None]]:
    return list(zip(scales, (None, *scales[:-1]), strict=True))


def _activated(convolution: nn.Module) -> nn.Sequential:
    return nn.Sequential(convolution, nn.ReLU(inplace=True))


def _bottleneck(in_channels: int, out_channels: int, factor: int, stride: int) -> nn.Sequential:
    width = min(in_channels, factor * out_channels)
    narrow, grow = conv_bn(in_channels, width, 1), conv_bn(width, out_channels, 3, stride)
    return nn.Sequential(_activated(narrow), _activated(grow))


@architectures.register("msdnet")
def msdnet(*, channels: int, classes: int) -> Backbone:
    """24 layers in 11 blocks; the first layer of stages 2 and 3 drops the finest scale and is followed by a transition.

    `block1` to `block10` is where the paper has its classifiers, of which the neck is the body of the last.
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
