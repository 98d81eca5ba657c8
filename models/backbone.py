"""Common structure of all architectures: a stem, numbered blocks in stages, a neck and a classifier."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from .layers import Classifier


class Block(nn.Module):
    """Part of the backbone after which an exit can be attached."""

    def __init__(
        self, *, out_channels: int, stride: int, activated: bool = True, prefix_tokens: int | None = None
    ) -> None:
        """Set the properties of the block.

        Args:
            out_channels: Channels of the map that an exit after this block reads.
            stride: Factor by which the block divides height and width.
            activated: True if the output has passed a normalisation and an activation. False in pre-activation
                networks, where an exit begins with both.
            prefix_tokens: Number of tokens before those of the image, such as a class token; None if the output is a
                map.
        """
        super().__init__()
        self.out_channels = out_channels
        self.stride = stride
        self.activated = activated
        self.prefix_tokens = prefix_tokens

    def tap(self, hidden: Any) -> Tensor:
        """Return the map (N, out_channels, H, W) that an exit after this block reads."""
        return hidden


class Backbone(nn.Module):
    """Network without auxiliary exits: `classifier(neck(blocks(stem(images))))`.

    Blocks are numbered from 1 in execution order; block 3 has the name `block3`. Stages are also numbered from 1.
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
        """Combine the parts and add a linear classifier.

        Args:
            stem: Module from images (N, channels, H, W) to the first block's input.
            stages: Blocks of each stage; the first block of a stage does its down-sampling.
            neck: Module from the last block's output to the features (N, width) that the classifier reads.
            width: Number of features.
            classes: Number of classes.
            stem_stride: Factor by which the stem divides height and width.
        """
        super().__init__()
        self.stem = stem
        self.blocks = nn.ModuleList(block for stage in stages for block in stage)
        self.neck = neck
        self.classifier = Classifier(width, classes)
        self.width = width
        self.stem_stride = stem_stride
        self.stages = tuple(_numbers(stages))
        """Numbers of the blocks of each stage."""
        self.stage_ends = tuple(stage[-1] for stage in self.stages)
        """Number of the last block of each stage."""
        self.smallest_image = stem_stride * math.prod(block.stride for stage in stages for block in stage)
        """Smallest height and width, in pixels, for which the last block's map is not empty."""
        self.only_size: int | None = None
        """Only height and width of images that the backbone accepts, in pixels; None if it accepts others as well."""
        self.block_names: tuple[tuple[str, ...], ...] = ()
        """Names in a network from elsewhere of the cut at the end of each block, the most specific first."""
        self.undivided: str | None = None
        """Reason why the whole network runs before each exit, so that none can stop the computation; None if not so."""
        self.original_names: dict[str, str] = {}
        """Names in a network from elsewhere of weights and buffers, by those in the state_dict of this backbone."""

    def block(self, number: int) -> Block:
        """Return the block with this number, from 1."""
        block = self.blocks[number - 1]
        assert isinstance(block, Block)
        return block

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, classes) of images (N, channels, H, W)."""
        hidden = self.stem(images)
        for block in self.blocks:
            hidden = block(hidden)
        return self.classifier(self.neck(hidden))


def _numbers(stages: Sequence[Sequence[Block]]) -> list[tuple[int, ...]]:
    starts = itertools.accumulate(map(len, stages), initial=1)
    return [tuple(range(start, end)) for start, end in itertools.pairwise(starts)]
