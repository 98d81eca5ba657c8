"""Stem, blocks and neck of a network, from its parts.

Most networks repeat modules: a *block class* is a class of modules with a `forward` of its own and, in at least one
instance, two layers. Each of its instances is a block. What comes before the first belongs to the stem, what comes
between two to the later one, and what comes after the last to the neck. In other networks, such as VGG, each layer
begins a block, normalisation and activation belong to the block before, and pooling to the block after.
"""

import itertools
from collections.abc import Collection, Sequence
from typing import NamedTuple

from torch import fx, nn

from .probing import Probe


class Groups(NamedTuple):
    """Parts of stem, blocks and neck, in execution order."""

    stem: Sequence[Probe]
    blocks: Sequence[Sequence[Probe]]
    neck: Sequence[Probe]


def grouped(probes: Sequence[Probe], ends: Collection[str] = ()) -> Groups:
    """Divide the parts of a network into stem, blocks and neck.

    Args:
        probes: Parts from the images to the features.
        ends: Names of cuts after which a block must end. If one is in the stem, the stem becomes the first blocks.
    """
    count = next((at for at, probe in enumerate(probes) if probe.output.arrangement == "other"), len(probes))
    bounds = _bounds(probes[:count])
    for end in ends:
        at = next((at for at in range(1, count + 1) if end in probes[at - 1].part.names), None)
        if at is not None:
            bounds = sorted({*bounds, at} if at > bounds[0] else {0, at, *bounds})
    blocks = [probes[start:end] for start, end in itertools.pairwise(bounds)]
    return Groups(probes[: bounds[0]], blocks, probes[bounds[-1] :])


def _bounds(probes: Sequence[Probe]) -> list[int]:
    """Return the number of parts before each block, and the number of parts up to the end of the last block."""
    classes = _block_classes(probes)
    if classes:
        blocks = [at for at, probe in enumerate(probes) if type(probe.part.module) in classes]
        return [blocks[0], *(at + 1 for at in blocks)]
    bounds = [0]
    for at, probe in enumerate(probes):
        follows = len(bounds) > 1 and bounds[-1] == at and probe.output.positions >= probes[at - 1].output.positions
        if probe.multiplications:
            bounds.append(at + 1)
        elif follows:
            bounds[-1] = at + 1
    return bounds


def _block_classes(probes: Sequence[Probe]) -> set[type[nn.Module]]:
    """Return the block classes; none if most layers are outside of their instances."""
    own = [probe for probe in probes if _has_own_forward(probe.part.module)]
    if own and own[0] is next(probe for probe in probes if probe.multiplications):
        first, *others = own
        if type(first.part.module) not in {type(other.part.module) for other in others}:
            own = others  # a stem with layers of its own
    classes = {type(probe.part.module) for probe in own if probe.multiplications >= 2}
    inside = sum(probe.multiplications for probe in own if type(probe.part.module) in classes)
    return classes if 2 * inside >= sum(probe.multiplications for probe in probes) else set()


def _has_own_forward(module: nn.Module) -> bool:
    return isinstance(module, fx.GraphModule) or (
        type(module).forward is not nn.Sequential.forward and any(True for _ in module.children())
    )
