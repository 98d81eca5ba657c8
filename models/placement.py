"""Conversion of exit placements in a sweep file to the numbers of the blocks that the exits follow."""

import functools
import re

from ..specs import SpecError, nearest
from .architectures import architectures
from .layout import Layout
from .layout_cache import cached_layout
from .layout_tables import layout_tables


@functools.cache
def architecture_layout(architecture: str, image_shape: tuple[int, int, int], classes: int) -> Layout:
    """Return the layout of a registered architecture for an image shape (channels, height, width).

    That of a built-in architecture is computed from its table, without torch. Others are measured on a network without
    weights; those of torchvision and timm are cached on disk.

    Raises:
        SpecError: for an unknown architecture, or for images that are too small for its strides.
    """
    if table := layout_tables().get(architecture):
        return table.layout(image_shape, classes)

    def measured() -> Layout:
        from .layout_measurement import measured_layout  # noqa: PLC0415 (imports torch)

        return measured_layout(architectures[architecture], image_shape, classes)

    return cached_layout(architecture, image_shape, classes, measured)


def resolve(placement: str, layout: Layout) -> tuple[int, ...]:
    """Return the numbers of the blocks after which a placement puts exits, in order.

    A placement is `none`, or a list separated by commas of `all` (after every stage except the last), stages (`1`),
    blocks (`block4`), percentages of the backbone's multiply-adds (`25%`: the block whose end is nearest) and, for a
    network from elsewhere, its own names of modules (`layer2`: the block in which the module ends).

    Raises:
        SpecError: for an invalid placement, a position that the network does not have, the end of the network, or a
            block that is listed twice.
    """
    if placement.strip() == "none":
        return ()
    named: dict[int, str] = {}
    for part in map(str.strip, placement.split(",")):
        for block in layout.stage_ends if part == "all" else (_block(part, placement, layout),):
            if block in named:
                free = ", ".join(f"block{number}" for number in range(1, layout.stages[-1][-1]) if number not in named)
                fix = f"remove one, or use a free block: {free}" if free else "remove one"
                message = f"{part!r} and {named[block]!r} are both after block{block}; {fix}"
                raise SpecError(f"placement {placement!r}: {message}.", field="placement")
            named[block] = part
    return tuple(sorted(named))


def canonical(placement: str, layout: Layout) -> str:
    """Return the canonical form of a placement: `none`, `all`, stages if they cover it, or blocks."""
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
        raise _refused(part, placement, f"this network allows exits after stages 1 to {len(layout.stages) - 1}")
    if match := re.fullmatch(r"block(\d+)", part):
        if 1 <= int(match[1]) < last:
            return int(match[1])
        raise _refused(part, placement, f"this network allows exits after block1 to block{last - 1}")
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)%", part):
        share = float(match[1]) / 100
        if 0 < share < 1:
            before_last = range(1, last)
            return min(before_last, key=lambda block: abs(layout.shares[block - 1] - share))
        raise _refused(part, placement, "a percentage must be above 0% and below 100%")
    for number, names in enumerate(layout.names[:-1], start=1):
        if part in names:
            return number
    if part == "none":
        raise _refused(part, placement, "'none' cannot be combined with other placements")
    own = [name for names in layout.names[:-1] for name in names]
    hint = nearest(part, ["all", "none", "1", "block1", "50%", *own])
    forms = "all, none, stages (1,3), blocks (block4) or percentages (50%)" + (
        " or names of its modules" if own else ""
    )
    raise _refused(part, placement, f"{hint}; use {forms}")


def _refused(part: str, placement: str, rule: str) -> SpecError:
    where = "" if part == placement else f" in {placement!r}"
    return SpecError(f"unknown placement {part!r}{where}; {rule}.", field="placement")
