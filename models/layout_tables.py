"""Layouts of the built-in architectures for any image size, from `layout_tables.json`.

The file holds the multiply-adds of each part of a network by the stride of the map that they compute. The layout of any
image shape and any number of classes follows exactly. Write the file again after a change of an architecture:
`python -m exeunt.models.layout_measurement`.
"""

import functools
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from .layout import BackboneCost, BlockLayout, Layout, refuse_small_images

FILE = Path(__file__).with_name("layout_tables.json")
ONCE = "once"
"""Key of multiply-adds that an image of any size needs once."""

Work = Mapping[str, int]
"""Multiply-adds for each position of a map, by the stride of the map relative to the image as text, or `ONCE`."""
Rounding = Literal["up", "down"]


class BlockTable(NamedTuple):
    """Properties and work of a block."""

    out_channels: int
    stride: int
    activated: bool
    work: Work


@dataclass(frozen=True, kw_only=True)
class LayoutTable:
    """Layout of an architecture for all image shapes and numbers of classes."""

    width: int
    """Number of features that classifiers read."""
    smallest_image: int
    """Smallest height and width of images, in pixels."""
    stem_stride: int
    """Factor by which the stem divides height and width."""
    rounding: Rounding
    """Rounding of a height or width that a stride does not divide."""
    image_channel: Work
    """Work that each channel of the image adds, in the stem or the first block."""
    stem: Work
    stages: tuple[tuple[BlockTable, ...], ...]
    """Blocks of each stage."""
    neck: Work

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "LayoutTable":
        """Return the table that `to_dict` describes."""
        stages = tuple(tuple(BlockTable(*block) for block in stage) for stage in content["stages"])
        return cls(**{**content, "stages": stages})

    def layout(self, image_shape: tuple[int, int, int], classes: int) -> Layout:
        """Return the layout for an image shape (channels, height, width).

        Raises:
            SpecError: for images that are too small for the strides of the architecture.
        """
        refuse_small_images(image_shape, self.smallest_image)
        channels, *size = image_shape

        def map_size(stride: int) -> tuple[int, int]:
            height, width = (-(-length // stride) if self.rounding == "up" else length // stride for length in size)
            return height, width

        @functools.cache
        def positions(stride: str) -> int:
            height, width = (1, 1) if stride == ONCE else map_size(int(stride))
            return height * width

        def multiply_adds(work: Work) -> int:
            return sum(count * positions(stride) for stride, count in work.items())

        blocks = [block for stage in self.stages for block in stage]
        strides = itertools.accumulate((block.stride for block in blocks), lambda a, b: a * b, initial=self.stem_stride)
        before = channels * multiply_adds(self.image_channel) + multiply_adds(self.stem)
        _, *after_blocks = itertools.accumulate((multiply_adds(block.work) for block in blocks), initial=before)
        ends = [*itertools.accumulate(map(len, self.stages), initial=0)]
        return Layout(
            stages=tuple(tuple(range(start + 1, end + 1)) for start, end in itertools.pairwise(ends)),
            blocks=tuple(BlockLayout(block.out_channels, block.stride, block.activated) for block in blocks),
            width=self.width,
            smallest_image=self.smallest_image,
            cost=BackboneCost(
                after_blocks=tuple(after_blocks),
                whole=after_blocks[-1] + multiply_adds(self.neck) + self.width * classes,
                taps=tuple(
                    (block.out_channels, *map_size(stride))
                    for block, stride in zip(blocks, itertools.islice(strides, 1, None), strict=True)
                ),
            ),
        )


@functools.cache
def layout_tables() -> dict[str, LayoutTable]:
    """Return the tables of the built-in architectures, by name."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    return {name: LayoutTable.from_dict(table) for name, table in content.items()}
