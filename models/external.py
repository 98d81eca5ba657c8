"""Backbones from any network: its own modules, divided at its cuts into stem, blocks, neck and classifier."""

import math
from collections.abc import Collection, Sequence

import torch
from torch import fx, nn

from ..specs import SpecError, nearest
from .adoption import (
    AdoptedBlock,
    OwnClassifier,
    adopt_classifier,
    built_for,
    image_channels,
    original_names,
    read_channels,
    read_older_names,
    staged,
    strides_between,
)
from .backbone import Backbone
from .cuts import NotARowError, Part, opened, parts_of
from .grouping import Groups, grouped
from .hooked import hooked_backbone
from .layers import Pool
from .probing import PROBES, Output, Probe, probed

_WITHOUT_EFFECT = (nn.Identity, nn.Flatten)
"""Modules that do not change logits (N, classes)."""


def backbone_of(
    network: nn.Module,
    *,
    name: str,
    channels: int | None = None,
    classes: int | None = None,
    size: int | None = None,
    ends: Collection[str] = (),
) -> Backbone:
    """Build a backbone that gives the same logits as a network, from its modules and with its weights.

    If the images have another number of channels than the first convolution, its weights are summed over the colours
    and divided equally among the channels; a grey image then gives the outputs of three equal colours. A classifier
    with another number of classes is replaced by a new one.

    Args:
        network: Module from images to logits.
        name: Name of the network in messages.
        channels: Channels of the images. Default: those of the first convolution.
        classes: Number of classes. Default: that of the network's classifier.
        size: Image height and width that the network is built for, if it accepts no other.
        ends: Names of cuts after which a block must end.

    Raises:
        SpecError: for a network that is no row of parts, that does not return a logit for each class, or without a
            requested cut.
    """
    channels = channels or image_channels(network)
    read_channels(network, channels)
    size = size or built_for(network)
    try:
        parts = _open_end(parts_of(network, ends))
        probes, only_size = probed(parts, channels, size)
    except NotARowError as error:
        return hooked_backbone(
            network, name=name, why=str(error), channels=channels, classes=classes, size=size, ends=ends
        )
    _require_cuts(name, network, [probe.part for probe in probes], ends)
    before, classifier = _without_classifier(name, probes, classes)
    groups = grouped(before, ends)
    if not groups.blocks:
        raise SpecError(f"{name} has no block after its stem that an exit could follow.", field="architecture")
    trunk = _assembled(groups, classifier, classes, only_size or PROBES[0])
    if only_size is not None:
        trunk.only_size, trunk.smallest_image = only_size, min(trunk.smallest_image, only_size)
    read_older_names(trunk)
    trunk.original_names = original_names(network.state_dict(keep_vars=True), trunk, classifier)
    return trunk


def _open_end(parts: Sequence[Part]) -> list[Part]:
    """Return the parts, where modules that contain the last linear layer are opened."""
    *others, last = parts
    if isinstance(last.module, nn.Linear) or not others:
        return list(parts)
    if isinstance(last.module, _WITHOUT_EFFECT):
        return [*_open_end(others), last]
    try:
        inside = opened(last)
    except NotARowError:
        inside = [last]
    return _open_end([*others, *inside]) if len(inside) > 1 else list(parts)


def _without_classifier(
    name: str, probes: Sequence[Probe], classes: int | None
) -> tuple[list[Probe], nn.Linear | OwnClassifier]:
    """Return the parts up to the features, and the classifier.

    If the last layer does not read the features (N, width), the logits are the features.
    """
    shape = probes[-1].shape
    if len(shape) != 2:
        message = f"{name} returns {tuple(shape[1:])} for an image, not a logit for each class."
        raise SpecError(message, field="architecture")
    at = max((at for at, probe in enumerate(probes) if probe.multiplications), default=0)
    before = probes[at - 1].shape if at else torch.Size((1, 0))
    tail = [probe.part.module for probe in probes[at:] if not isinstance(probe.part.module, _WITHOUT_EFFECT)]
    if len(before) == 2 and isinstance(tail[0], nn.Linear) and len(tail) == 1:
        return list(probes[:at]), tail[0]
    if classes not in (None, shape[1]):
        message = f"{name} has {shape[1]} classes, and no linear layer at its end that could be replaced for {classes}."
        raise SpecError(message, field="architecture")
    if at and math.prod(before[1:]) == before[1]:
        return list(probes[:at]), OwnClassifier(tail, before[1:], shape[1])
    return list(probes), OwnClassifier([], shape[1:], shape[1])


def _require_cuts(name: str, network: nn.Module, parts: Sequence[Part], ends: Collection[str]) -> None:
    cuts = list(dict.fromkeys(cut for part in parts for cut in part.names))
    for end in ends:
        if end not in cuts:
            inside = end in dict(network.named_modules())
            why = "other tensors pass beside its output, such as a skip connection" if inside else "it has no such cut"
            message = f"{name} has no cut after {end!r}: {why}; {nearest(end, cuts)}."
            raise SpecError(message, field="placement")


def _assembled(groups: Groups, classifier: nn.Linear | OwnClassifier, classes: int | None, size: int) -> Backbone:
    """Assemble a backbone from groups that were probed with images of this height and width."""
    ends = [Output("map", 0, size), *(group[-1].output for group in (groups.stem, *groups.blocks) if group)]
    strides = strides_between(ends)
    stem_stride = strides.pop(0) if groups.stem else 1
    activated = not any(_first_normalises(group) for group in (*groups.blocks[1:], groups.neck))
    blocks = [
        AdoptedBlock(_row(group), group[-1].output, stride=stride, activated=activated)
        for group, stride in zip(groups.blocks, strides, strict=True)
    ]
    trunk = Backbone(
        stem=_row(groups.stem),
        stages=staged(blocks, strides),
        neck=_neck(groups.neck) if isinstance(classifier, nn.Linear) else _flattened(groups.neck),
        width=classifier.in_features,
        classes=classes or classifier.out_features,
        stem_stride=stem_stride,
    )
    trunk.block_names = tuple(group[-1].part.names for group in groups.blocks)
    maps = [probe.output for probe in groups.neck if probe.output.arrangement in ("map", "channels_last")]
    trunk.smallest_image *= math.prod(strides_between([ends[-1], *maps]))
    adopt_classifier(trunk, classifier)
    return trunk


def _first_normalises(group: Sequence[Probe]) -> bool:
    """Return True if the first function that a group calls normalises or activates."""
    first = next((probe for probe in group if probe.multiplications or probe.normalises_first), None)
    return first is not None and first.normalises_first


def _row(group: Sequence[Probe]) -> nn.Module:
    modules = [probe.part.module for probe in group]
    return modules[0] if len(modules) == 1 else nn.Sequential(*modules)


def _neck(group: Sequence[Probe]) -> nn.Module:
    """Return the neck; global average pooling alone becomes `Pool`, whose input exits can use as a map."""
    modules = [probe.part.module for probe in group if not isinstance(probe.part.module, nn.Identity)]
    match modules:
        case [nn.AdaptiveAvgPool2d(output_size=(1, 1) | 1), nn.Flatten()]:
            return Pool()
        case [nn.AdaptiveAvgPool2d(output_size=(1, 1) | 1), fx.GraphModule() as flatten] if _is_flatten(flatten):
            return Pool()
    return nn.Sequential(*modules)


def _flattened(group: Sequence[Probe]) -> nn.Module:
    """Return a neck that ends in features (N, width), for a classifier that reads them in another shape."""
    return nn.Sequential(*(probe.part.module for probe in group), nn.Flatten())


def _is_flatten(piece: fx.GraphModule) -> bool:
    return [node.target for node in piece.graph.nodes if node.op.startswith("call")] == [torch.flatten]
