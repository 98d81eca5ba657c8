"""Where exits sit: from what a sweep file says to the numbers of the blocks that they follow."""

import functools
import re

from ..specs import SpecError, nearest
from .backbone import Backbone, architectures
from .cost import BackboneCost, backbone_cost
from .layers import without_weights


class Layout:
    """What a placement needs to know of a trunk."""

    def __init__(self, trunk: Backbone, image_shape: tuple[int, int, int]) -> None:
        """Of a trunk with or without weights, for images of a shape (channels, height, width).

        Raises:
            SpecError: for images that the trunk's strides leave nothing of.
        """
        if min(image_shape[1:]) < (least := trunk.smallest_image):
            got = f"{image_shape[1]}x{image_shape[2]}"
            raise SpecError(
                f"images of {got} pixels are too small for it; {least}x{least} is the smallest.", field="architecture"
            )
        self.trunk = trunk
        self._image_shape = image_shape
        self.width = trunk.width
        """Of the features that classifiers read."""
        self.stage_channels = tuple(trunk.block(number).out_channels for number in trunk.stage_ends)
        """Of what each stage puts out."""
        self.smallest_image = least
        """The least height and width, in pixels, that the trunk works on."""
        self.stages = trunk.stages
        """The numbers of the blocks of each stage."""
        self.stage_ends = trunk.stage_ends[:-1]
        """The blocks that `all` means: the last of each stage but the final one."""

    @functools.cached_property
    def shares(self) -> tuple[float, ...]:
        """The share of the trunk's multiply-adds that is done after block 1, 2, ..."""
        return tuple(count / self.cost.whole for count in self.cost.after_blocks)

    @functools.cached_property
    def cost(self) -> BackboneCost:
        """Of one image in the trunk."""
        return backbone_cost(self.trunk, self._image_shape)


@functools.cache
def architecture_layout(architecture: str, image_shape: tuple[int, int, int], classes: int) -> Layout:
    """The layout of a registered architecture, found without allocating its weights."""
    with without_weights():
        return Layout(architectures[architecture](channels=image_shape[0], classes=classes), image_shape)


def resolve(placement: str, layout: Layout) -> tuple[int, ...]:
    """The numbers of the blocks after which a placement puts exits, in order.

    A placement is `none`, or a list with commas of `all` (after every stage but the last), stages (`1`), blocks
    (`block4`) and percentages of the trunk's multiply-adds (`25%`: the block whose end is nearest to it).

    Raises:
        SpecError: for what is none of these, is not there, is where the network ends, or is named twice.
    """
    if placement.strip() == "none":
        return ()
    named: dict[int, str] = {}
    for part in map(str.strip, placement.split(",")):
        for block in layout.stage_ends if part == "all" else (_block(part, placement, layout),):
            if block in named:
                free = ", ".join(f"block{number}" for number in range(1, layout.stages[-1][-1]) if number not in named)
                message = f"{part!r} and {named[block]!r} are both after block{block}; not named yet: {free or 'none'}"
                raise SpecError(f"placement {placement!r}: {message}.", field="placement")
            named[block] = part
    return tuple(sorted(named))


def canonical(placement: str, layout: Layout) -> str:
    """One way of writing each placement: `none`, `all`, stages if it is made of such, else blocks."""
    blocks = resolve(placement, layout)
    if not blocks:
        return "none"
    if blocks == layout.stage_ends:
        return "all"
    if set(blocks) <= set(layout.stage_ends):
        return ",".join(str(layout.stage_ends.index(block) + 1) for block in blocks)
    return ",".join(f"block{block}" for block in blocks)


def _block(part: str, placement: str, layout: Layout) -> int:
    last = layout.stages[-1][-1]
    if match := re.fullmatch(r"(\d+)", part):
        if 1 <= int(match[1]) < len(layout.stages):
            return layout.stage_ends[int(match[1]) - 1]
        raise _refused(part, placement, f"exits follow stage 1 to {len(layout.stages) - 1} of this network")
    if match := re.fullmatch(r"block(\d+)", part):
        if 1 <= int(match[1]) < last:
            return int(match[1])
        raise _refused(part, placement, f"exits follow block1 to block{last - 1} of this network")
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)%", part):
        share = float(match[1]) / 100
        if 0 < share < 1:
            before_last = range(1, last)
            return min(before_last, key=lambda block: abs(layout.shares[block - 1] - share))
        raise _refused(part, placement, "a percentage lies between 0% and 100%, both excluded")
    if part == "none":
        raise _refused(part, placement, "'none' stands alone")
    hint = nearest(part, ["all", "none", "1", "block1", "50%"])
    raise _refused(part, placement, f"{hint}; write all, none, stages (1,3), blocks (block4) or percentages (50%)")


def _refused(part: str, placement: str, rule: str) -> SpecError:
    where = "" if part == placement else f" in {placement!r}"
    return SpecError(f"there is no placement {part!r}{where}; {rule}.", field="placement")
