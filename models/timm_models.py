"""Backbones from timm: `timm/resnet50d` and `timm/resnet50d:pretrained`. Install with `pip install exeunt[timm]`.

Supported are timm's modules resnet, regnet, convnext and efficientnet, which define most of its convolutional networks.
A backbone consists of timm's own modules, initialised by timm, and gives the same logits. timm downloads pretrained
weights, mostly from the Hugging Face hub, when a network with them is first built. Planning needs no weights.
"""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from ..specs import SpecError
from ..specs.errors import unknown
from .architectures import BackboneBuilder
from .backbone import Backbone
from .external import PRETRAINED, Parts, adopt

PREFIX = "timm/"


def _resnet(network: Any) -> Parts:
    return Parts(
        stem=[network.conv1, network.bn1, network.act1, network.maxpool],
        blocks=[*network.layer1, *network.layer2, *network.layer3, *network.layer4],
        neck=[network.global_pool, nn.Dropout(network.drop_rate)],
        classifier=network.fc,
    )


def _regnet(network: Any) -> Parts:
    stages = (network.s1, network.s2, network.s3, network.s4)
    blocks = [block for stage in stages for block in stage.children()]
    neck, classifier = _split(network.head)
    return Parts(stem=[network.stem], blocks=blocks, neck=[network.final_conv, neck], classifier=classifier)


def _convnext(network: Any) -> Parts:
    """Return the parts of a ConvNeXt; exits normalise their input, as with torchvision's ConvNeXt."""
    blocks: list[nn.Module] = []
    for stage in network.stages:
        first, *others = stage.blocks
        blocks += [nn.Sequential(stage.downsample, first), *others]
    neck, classifier = _split(network.head)
    return Parts(
        stem=[network.stem], blocks=blocks, neck=[network.norm_pre, neck], classifier=classifier, activated=False
    )


def _efficientnet(network: Any) -> Parts:
    return Parts(
        stem=[network.conv_stem, network.bn1],
        blocks=[block for stage in network.blocks for block in stage],
        neck=[network.conv_head, network.bn2, network.global_pool, nn.Dropout(network.drop_rate)],
        classifier=network.classifier,
    )


def _split(head: Any) -> tuple[nn.Module, nn.Linear]:
    """Split a head of timm into the part before its linear layer, and that layer."""
    classifier, head.fc = head.fc, nn.Identity()
    return head, classifier


_FAMILIES: dict[str, Callable[[Any], Parts]] = {
    "convnext": _convnext,
    "efficientnet": _efficientnet,
    "regnet": _regnet,
    "resnet": _resnet,
}
"""Functions that split the networks of each supported timm module into parts."""


def resolve_builder(name: str) -> BackboneBuilder:
    """Return the builder of `timm/NAME` or `timm/NAME:pretrained`.

    Raises:
        SpecError: if timm is not installed, if it does not have the name, or if the network's module is not supported.
    """
    if find_spec("timm") is None:
        raise SpecError(f"{name} needs timm: pip install 'exeunt[timm]'.", field="architecture")
    import timm  # noqa: PLC0415 - optional, and the import takes seconds

    model = name.removeprefix(PREFIX).removesuffix(PRETRAINED)
    suffix = PRETRAINED if ":" in name else ""
    if not timm.is_model(model):
        supported = [model for family in _FAMILIES for model in timm.list_models(module=family)]
        raise unknown("architecture", name, (f"{PREFIX}{model}{suffix}" for model in supported), field="architecture")
    family = timm.model_entrypoint(model).__module__.rpartition(".")[2]
    if family not in _FAMILIES:
        families = ", ".join(_FAMILIES)
        message = f"{PREFIX}{model} is in timm's module {family}, which is not supported; use a network of {families}."
        raise SpecError(message, field="architecture")
    if suffix and not timm.is_model_pretrained(model):
        raise SpecError(f"timm has no pretrained weights for {model}; use {PREFIX}{model}.", field="architecture")
    return partial(_build, name, model, _FAMILIES[family], pretrained=bool(suffix))


def _build(
    name: str, model: str, parts: Callable[[Any], Parts], *, pretrained: bool, channels: int, classes: int
) -> Backbone:
    import timm  # noqa: PLC0415 - see above

    load = pretrained and torch.get_default_device().type != "meta"
    network = timm.create_model(model, pretrained=load, in_chans=channels, num_classes=classes)
    return adopt(name, parts(network), channels=channels, classes=classes)
