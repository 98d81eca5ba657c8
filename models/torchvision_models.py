"""Backbones from torchvision: `torchvision/resnet50` and `torchvision/resnet50:pretrained`.

A backbone consists of torchvision's own modules, initialised by torchvision, and gives the same logits. Blocks are
those of torchvision. Layers between stages (pooling, DenseNet's transitions, ConvNeXt's down-sampling) are part of the
next stage's first block. Hidden layers and dropout before the last linear layer are part of the neck. Features are the
inputs of that layer, so some are negative if a network ends in SiLU, Hardswish (EfficientNet, MobileNetV3) or a
normalisation (ConvNeXt).

Pretrained weights are torchvision's `DEFAULT` weights. torchvision downloads them to `torch.hub.get_dir()` when a
network with them is first built. Planning needs no weights.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..specs import SpecError
from ..specs.errors import unknown
from .architectures import BackboneBuilder
from .backbone import Backbone
from .external import PRETRAINED, Parts, adopt
from .layers import Pool

PREFIX = "torchvision/"


class _DenseLayer(nn.Module):
    """Layer of DenseNet that returns the concatenation of its input and its new channels."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C + growth, H, W)."""
        return torch.cat([hidden, self.layer(hidden)], dim=1)


def _resnet(network: Any) -> Parts:
    return Parts(
        stem=[network.conv1, network.bn1, network.relu, network.maxpool],
        blocks=[*network.layer1, *network.layer2, *network.layer3, *network.layer4],
        neck=[Pool()],
        classifier=network.fc,
    )


def _regnet(network: Any) -> Parts:
    blocks = [block for stage in network.trunk_output for block in stage]
    return Parts(stem=[network.stem], blocks=blocks, neck=[Pool()], classifier=network.fc)


def _shufflenet(network: Any) -> Parts:
    return Parts(
        stem=[network.conv1, network.maxpool],
        blocks=[*network.stage2, *network.stage3, *network.stage4],
        neck=[network.conv5, Pool()],
        classifier=network.fc,
    )


def _mobilenet(network: Any) -> Parts:
    stem, *blocks, last = network.features
    *hidden, classifier = network.classifier
    return Parts(stem=[stem], blocks=blocks, neck=[last, Pool(), *hidden], classifier=classifier)


def _efficientnet(network: Any) -> Parts:
    stem, *stages, last = network.features
    *hidden, classifier = network.classifier
    blocks = [block for stage in stages for block in stage]
    return Parts(stem=[stem], blocks=blocks, neck=[last, Pool(), *hidden], classifier=classifier)


def _mnasnet(network: Any) -> Parts:
    blocks = [block for stage in network.layers[8:14] for block in stage]
    *hidden, classifier = network.classifier
    return Parts(
        stem=network.layers[:8], blocks=blocks, neck=[*network.layers[14:], Pool(), *hidden], classifier=classifier
    )


def _vgg(network: Any) -> Parts:
    blocks: list[nn.Module] = []
    pending: list[nn.Module] = []
    for layer in network.features:
        pending.append(layer)
        if isinstance(layer, nn.ReLU):
            blocks.append(nn.Sequential(*pending))
            pending = []
    *hidden, classifier = network.classifier
    return Parts(
        stem=[],
        blocks=blocks,
        neck=[*pending, network.avgpool, nn.Flatten(), *hidden],
        classifier=classifier,
        neck_stride=2,
    )


def _densenet(network: Any) -> Parts:
    """Return the parts of a DenseNet with dense layers as blocks; exits normalise their input, as dense layers do."""
    blocks: list[nn.Module] = []
    pending: list[nn.Module] = []
    for part in network.features[4:]:
        if isinstance(part, nn.ModuleDict):
            first, *others = map(_DenseLayer, part.values())
            blocks += [nn.Sequential(*pending, first), *others]
            pending = []
        else:
            pending.append(part)
    return Parts(
        stem=network.features[:4],
        blocks=blocks,
        neck=[*pending, nn.ReLU(inplace=True), Pool()],
        classifier=network.classifier,
        activated=False,
    )


def _convnext(network: Any) -> Parts:
    """Return the parts of a ConvNeXt; exits normalise their input, as in pre-activation networks.

    The exits use batch normalisation, as all exits of Exeunt, not the LayerNorm of ConvNeXt.
    """
    stem, *parts = network.features
    *before_classifier, classifier = network.classifier
    blocks: list[nn.Module] = []
    for down_sampling, stage in zip([None, *parts[1::2]], parts[::2], strict=True):
        first, *others = stage
        blocks += [first if down_sampling is None else nn.Sequential(down_sampling, first), *others]
    return Parts(
        stem=[stem],
        blocks=blocks,
        neck=[network.avgpool, *before_classifier],
        classifier=classifier,
        activated=False,
    )


_FAMILIES: dict[str, Callable[[Any], Parts]] = {
    "convnext": _convnext,
    "densenet": _densenet,
    "efficientnet": _efficientnet,
    "mnasnet": _mnasnet,
    "mobilenetv2": _mobilenet,
    "mobilenetv3": _mobilenet,
    "regnet": _regnet,
    "resnet": _resnet,
    "shufflenetv2": _shufflenet,
    "vgg": _vgg,
}
"""Functions that split the networks of each supported torchvision module into parts."""

_REFUSED = {
    "alexnet": "the strides of its stem and pooling are not whole numbers",
    "googlenet": "it already has auxiliary classifiers",
    "inception": "it already has auxiliary classifiers, and its convolutions without padding change the map size",
    "maxvit": "its attention accepts images of only one size",
    "squeezenet": "it has no linear classifier; its last convolution gives the logits",
    "swin_transformer": "its blocks return channels-last tokens, which a convolutional exit cannot read",
    "vision_transformer": "its blocks return tokens, which a convolutional exit cannot read",
}


def resolve_builder(name: str) -> BackboneBuilder:
    """Return the builder of `torchvision/NAME` or `torchvision/NAME:pretrained`.

    Raises:
        SpecError: for a name that is not a torchvision classifier, or for a network that is not a sequence of blocks.
    """
    families = _families()
    model = name.removeprefix(PREFIX).removesuffix(PRETRAINED)
    if model not in families:
        suffix = PRETRAINED if ":" in name else ""
        supported = [f"{PREFIX}{model}{suffix}" for model, family in families.items() if family in _FAMILIES]
        raise unknown("architecture", name, supported, field="architecture")
    if families[model] not in _FAMILIES:
        reason = _REFUSED.get(families[model], "its module is not supported")
        message = f"{PREFIX}{model} cannot have exits: {reason}; choose another architecture."
        raise SpecError(message, field="architecture")
    return functools.partial(_build, name, model, _FAMILIES[families[model]], pretrained=name.endswith(PRETRAINED))


@functools.cache
def _families() -> dict[str, str]:
    """Return the torchvision module of each classifier, by name."""
    from torchvision import models  # noqa: PLC0415 - the import takes two seconds

    names = models.list_models(module=models)
    return {name: models.get_model_builder(name).__module__.rpartition(".")[2] for name in names}


class _KeptValues(TorchFunctionMode):
    """Function mode that keeps small tensors on the CPU: RegNet computes its widths from their values."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        place = {"device": "cpu"} if function in (torch.arange, torch.tensor) else {}
        return function(*args, **(kwargs or {}) | place)


def _build(
    name: str, model: str, parts: Callable[[Any], Parts], *, pretrained: bool, channels: int, classes: int
) -> Backbone:
    from torchvision import models  # noqa: PLC0415 - see above

    device = torch.get_default_device()
    load = pretrained and device.type != "meta"
    settings: dict[str, Any] = {"weights": "DEFAULT"} if load else {"num_classes": classes}
    with _KeptValues():
        network = models.get_model(model, **settings)
    return adopt(name, parts(network.to(device)), channels=channels, classes=classes)
