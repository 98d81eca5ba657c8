"""The common shape of all architectures: a stem, named blocks in stages, and a classifier."""

import itertools
from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from ..specs import Registry


class Block(nn.Module):
    """A step of the trunk after which an exit can be attached. Subclasses call this constructor.

    out_channels: of the block's output.
    stride: by which it divides height and width.
    """

    def __init__(self, *, out_channels: int, stride: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.stride = stride


class Trunk(nn.Module):
    """A network without exits: `classifier(neck(blocks(stem(images))))`.

    Blocks are numbered from 1 in the order in which they run; block 3 is called `block3` wherever a name is
    needed, and stages are numbered from 1 too.
    """

    def __init__(
        self, *, stem: nn.Module, stages: Sequence[Sequence[Block]], neck: nn.Module, width: int, classes: int
    ) -> None:
        """Puts the parts together.

        Args:
            stem: from images (N, channels, H, W) to the first block's input.
            stages: the blocks of each stage; a stage's first block does its down-sampling.
            neck: from the last block's output to the features (N, width) that the classifier reads.
            width: number of features.
            classes: number of classes.
        """
        super().__init__()
        self.stem = stem
        self.blocks = nn.ModuleList(block for stage in stages for block in stage)
        self.neck = neck
        self.classifier = nn.Linear(width, classes)
        self.width = width
        self.stages = tuple(_numbers(stages))
        """The numbers of the blocks of each stage."""

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

    def __call__(self, *, channels: int, classes: int) -> Trunk:
        """The trunk for images with this many channels (1 or 3) and this many classes."""
        ...


architectures: Registry[TrunkBuilder] = Registry("architecture")
