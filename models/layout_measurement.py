"""Measurement of layouts on networks without weights.

`python -m exeunt.models.layout_measurement` writes `layout_tables.json` for the built-in architectures.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import get_args

from ..specs import SpecError
from ..specs.process_state import preserved_process_state
from ..specs.text import user_output
from ..specs.user_code import user_code
from .architectures import BUILT_IN, BackboneBuilder, architectures
from .backbone import Backbone
from .builder import backbone_from, run_with_values
from .cost import LayerCall, backbone_cost, layer_calls
from .layers import without_weights
from .layout import BlockLayout, Layout, refuse_other_size, refuse_small_images
from .layout_tables import FILE, ONCE, BlockTable, LayoutTable, Rounding


def measured_layout(builder: BackboneBuilder, image_shape: tuple[int, int, int], classes: int) -> Layout:
    """Build a network without weights and measure its layout for an image shape (channels, height, width).

    Raises:
        SpecError: for images that are too small for the strides of the network.
    """
    with user_output(), preserved_process_state(), without_weights():
        trunk = backbone_from(builder, image_shape, classes)
    channels, height, width = image_shape
    received = f"Its images were (1, {channels}, {height}, {width}) float32."
    called = user_code("the network", builder, received=lambda _: received, field="architecture")
    with user_output(), preserved_process_state(), called:
        try:
            return layout_of(trunk, image_shape)
        except SpecError:
            raise
        except Exception:
            run_with_values(builder, image_shape, classes)
            raise


def layout_of(trunk: Backbone, image_shape: tuple[int, int, int]) -> Layout:
    """Measure the layout of a backbone for an image shape (channels, height, width).

    Raises:
        SpecError: for images of a size that the backbone does not accept.
    """
    refuse_small_images(image_shape, trunk.smallest_image)
    blocks = [trunk.block(number) for number in range(1, len(trunk.blocks) + 1)]
    has_tokens = any(block.prefix_tokens is not None for block in blocks)
    refuse_other_size(image_shape, trunk.only_size, is_square=has_tokens)
    return Layout(
        stages=trunk.stages,
        blocks=tuple(BlockLayout(one.out_channels, one.stride, one.activated, one.prefix_tokens) for one in blocks),
        width=trunk.width,
        smallest_image=trunk.smallest_image,
        cost=backbone_cost(trunk, image_shape),
        names=trunk.block_names,
    )


def measured_table(builder: BackboneBuilder) -> LayoutTable:
    """Measure the table of an architecture, which holds for all image shapes and numbers of classes.

    Raises:
        ValueError: for a network whose layouts do not follow from a table.
    """
    with without_weights():
        trunk, with_two_channels = (backbone_from(builder, (channels, 32, 32), 1) for channels in (1, 2))
    work, more = _work(trunk, 1), _work(with_two_channels, 2)
    first = next(number for number, part in enumerate(work) if part)  # the stem, or the first block without a stem
    image_channel = more[first] - work[first]
    work[first] -= image_channel
    stem, *of_blocks, neck = map(dict, work)
    blocks = [
        BlockTable(block.out_channels, block.stride, block.activated, part)
        for block, part in zip(map(trunk.block, range(1, len(of_blocks) + 1)), of_blocks, strict=True)
    ]
    for rounding in get_args(Rounding):
        table = LayoutTable(
            width=trunk.width,
            smallest_image=trunk.smallest_image,
            stem_stride=trunk.stem_stride,
            rounding=rounding,
            image_channel=dict(image_channel),
            stem=stem,
            stages=tuple(tuple(blocks[number - 1] for number in stage) for stage in trunk.stages),
            neck=neck,
        )
        odd = (3, 3 * trunk.smallest_image - 1, 5 * trunk.smallest_image + 1)
        if table.layout(odd, 7).cost == measured_layout(builder, odd, 7).cost:
            return table
    raise ValueError("the maps of this architecture are rounded neither up nor down throughout")


def _work(trunk: Backbone, channels: int) -> list[Counter[str]]:
    """Return the work of stem, blocks and neck for images with this number of channels."""
    size = 32 * trunk.smallest_image  # every stride divides it, and every map has more than one position
    parts, _ = layer_calls([trunk.stem, *trunk.blocks, trunk.neck], (channels, size, size))
    return [_sum(calls, size) for calls in parts]


def _sum(calls: Iterable[LayerCall], size: int) -> Counter[str]:
    work: Counter[str] = Counter()
    for call in calls:
        channels, height, _ = call.output
        work[ONCE if height == 1 else str(size // height)] += channels * call.per_value
    return work


def file_content() -> str:
    """Measure the built-in architectures and return the content of the file, with a line for each block."""
    parts = []
    for name in (name for names in BUILT_IN.values() for name in names):
        content = asdict(measured_table(architectures[name]))
        stages = content.pop("stages")
        rows = (",\n        ".join(map(json.dumps, stage)) for stage in stages)
        listed = ",\n".join(f"      [\n        {row}\n      ]" for row in rows)
        fields = ",\n    ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
        parts.append(f'  "{name}": {{\n    {fields},\n    "stages": [\n{listed}\n    ]\n  }}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(file_content(), encoding="utf-8")
