"""The common shape of all architectures: a stem, named blocks in stages, and a classifier."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from ..specs import Registry


class Block(nn.Module):
    """A step of the trunk after which an exit can be attached."""

    def __init__(self, *, out_channels: int, stride: int, activated: bool = True) -> None:
        """Called by subclasses.

        Args:
            out_channels: of what an exit after this block sees.
            stride: by which the block divides height and width.
            activated: whether the output has passed a normalisation and an activation. In pre-activation networks
                it has not, and an exit begins with both.
        """
        super().__init__()
        self.out_channels = out_channels
        self.stride = stride
        self.activated = activated

    def tap(self, hidden: Any) -> Tensor:
        """What an exit after this block sees of its output: (N, out_channels, H, W)."""
        return hidden


class Backbone(nn.Module):
    """A network without exits: `classifier(neck(blocks(stem(images))))`.

    Blocks are numbered from 1 in the order in which they run; block 3 is called `block3` wherever a name is
    needed, and stages are numbered from 1 too.
    """

    def __init__(
        self,
        *,
        stem: nn.Module,
        stages: Sequence[Sequence[Block]],
        neck: nn.Module,
        width: int,
        classes: int,
        stem_stride: int = 1,
    ) -> None:
        """Puts the parts together.

        Args:
            stem: from images (N, channels, H, W) to the first block's input.
            stages: the blocks of each stage; a stage's first block does its down-sampling.
            neck: from the last block's output to the features (N, width) that the classifier reads.
            width: number of features.
            classes: number of classes.
            stem_stride: by which the stem divides height and width.
        """
        super().__init__()
        self.stem = stem
        self.blocks = nn.ModuleList(block for stage in stages for block in stage)
        self.neck = neck
        self.classifier = nn.Linear(width, classes)
        self.width = width
        self.stages = tuple(_numbers(stages))
        """The numbers of the blocks of each stage."""
        self.stage_ends = tuple(stage[-1] for stage in self.stages)
        """The number of the last block of each stage."""
        self.smallest_image = stem_stride * math.prod(block.stride for stage in stages for block in stage)
        """The least height and width, in pixels, that leave something for the last block."""

    def block(self, number: int) -> Block:
        """The block with this number."""
        block = self.blocks[number - 1]
        assert isinstance(block, Block)
        return block

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, channels, H, W)."""
        hidden = self.stem(images)
        for block in self.blocks:
            hidden = block(hidden)
        return self.classifier(self.neck(hidden))


def _numbers(stages: Sequence[Sequence[Block]]) -> list[tuple[int, ...]]:
    starts = itertools.accumulate(map(len, stages), initial=1)
    return [tuple(range(start, end)) for start, end in itertools.pairwise(starts)]


class TrunkBuilder(Protocol):
    """Builds one architecture, with random weights."""

    def __call__(self, *, channels: int, classes: int) -> Backbone:
        """The trunk for images with this many channels (1 or 3) and this many classes."""
        ...


architectures: Registry[TrunkBuilder] = Registry("architecture")
