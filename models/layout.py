"""Layouts of backbones: plain data that placements, heads and plans refer to."""

import functools
from dataclasses import dataclass
from typing import NamedTuple

from ..specs import SpecError


class BlockLayout(NamedTuple):
    """Properties of a block that an exit after it depends on."""

    out_channels: int
    """Channels of the map that an exit after the block reads."""
    stride: int
    """Factor by which the block divides height and width."""
    activated: bool
    """True if the output of the block has passed a normalisation and an activation."""
    prefix_tokens: int | None = None
    """Number of tokens before those of the image, such as a class token; None if the output is a map."""


@dataclass(frozen=True, kw_only=True)
class BackboneCost:
    """Multiply-adds and map shapes of one image in a backbone."""

    after_blocks: tuple[int, ...]
    """Cumulative multiply-adds at the end of block 1, 2, ..."""
    whole: int
    """Multiply-adds of the whole backbone."""
    taps: tuple[tuple[int, ...], ...]
    """Shape (channels, height, width) of the map that an exit after block 1, 2, ... reads."""


@dataclass(frozen=True, kw_only=True, eq=False)  # compared and hashed by identity, because it is a key of caches
class Layout:
    """Stages, blocks and costs of a backbone for images of one shape."""

    stages: tuple[tuple[int, ...], ...]
    """Numbers of the blocks of each stage, from 1."""
    blocks: tuple[BlockLayout, ...]
    """Properties of block 1, 2, ..."""
    width: int
    """Number of features that classifiers read."""
    smallest_image: int
    """Smallest height and width of images, in pixels."""
    cost: BackboneCost
    """Cost of one image in the backbone."""
    names: tuple[tuple[str, ...], ...] = ()
    """Names in a network from elsewhere of the cut at the end of each block, the most specific first."""

    @functools.cached_property
    def stage_channels(self) -> tuple[int, ...]:
        """Output channels of each stage."""
        return tuple(self.blocks[stage[-1] - 1].out_channels for stage in self.stages)

    @functools.cached_property
    def stage_ends(self) -> tuple[int, ...]:
        """Blocks that `all` selects: the last block of each stage except the final one."""
        return tuple(stage[-1] for stage in self.stages[:-1])

    @functools.cached_property
    def shares(self) -> tuple[float, ...]:
        """Cumulative share of the backbone's multiply-adds after block 1, 2, ..."""
        return tuple(count / self.cost.whole for count in self.cost.after_blocks)


def refuse_other_size(image_shape: tuple[int, int, int], only: int | None, *, is_square: bool) -> None:
    """Raise `SpecError` for images (channels, height, width) that a backbone does not accept.

    Args:
        image_shape: Shape of the images.
        only: Only height and width that the backbone accepts, in pixels; None if it accepts others as well.
        is_square: True if the backbone accepts square images only.
    """
    got = f"{image_shape[1]}x{image_shape[2]}"
    if only is not None and image_shape[1:] != (only, only):
        rule = f"this architecture accepts images of {only}x{only} pixels only; the images have {got}"
        raise SpecError(f"{rule}.", field="architecture")
    if is_square and image_shape[1] != image_shape[2]:
        rule = f"this architecture accepts square images only, as its tokens form a square; the images have {got}"
        raise SpecError(f"{rule} pixels.", field="architecture")


def refuse_small_images(image_shape: tuple[int, int, int], smallest: int) -> None:
    """Raise `SpecError` for images (channels, height, width) that are too small for the strides of a backbone."""
    if min(image_shape[1:]) < smallest:
        got = f"{image_shape[1]}x{image_shape[2]}"
        rule = f"images of {got} pixels are too small for this architecture; it needs at least {smallest}x{smallest}"
        raise SpecError(f"{rule}.", field="architecture")
