"""Backbones from torchvision: `torchvision/resnet50` and `torchvision/resnet50:pretrained`.

A backbone consists of torchvision's own modules, initialised by torchvision, and gives the same logits. Its blocks
follow from the cuts of the network, see `external`. Features are the inputs of its last linear layer.

Pretrained weights are torchvision's `DEFAULT` weights. torchvision downloads them to `torch.hub.get_dir()` when a
network with them is first built. Planning needs no weights.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ..specs.errors import unknown
from .architectures import PRETRAINED, BackboneBuilder
from .backbone import Backbone
from .external import backbone_of

PREFIX = "torchvision/"
SETTINGS: dict[str, Callable[[int], dict[str, Any]]] = {
    "googlenet": lambda size: {"aux_logits": False, "init_weights": True},  # noqa: ARG005
    "inception": lambda size: {"aux_logits": False, "init_weights": True},  # noqa: ARG005
    "maxvit": lambda size: {"input_size": (size, size)},
    "vision_transformer": lambda size: {"image_size": size},
}
"""Settings of torchvision's modules, from the image size: no classifiers of their own, and positions for this size."""


def resolve_builder(name: str) -> BackboneBuilder:
    """Return the builder of `torchvision/NAME` or `torchvision/NAME:pretrained`.

    Raises:
        SpecError: for a name that is not a torchvision classifier.
    """
    model = name.removeprefix(PREFIX).removesuffix(PRETRAINED)
    if model not in _families():
        suffix = PRETRAINED if ":" in name else ""
        raise unknown("architecture", name, [f"{PREFIX}{one}{suffix}" for one in _families()], field="architecture")
    return functools.partial(_build, name, model, pretrained=name.endswith(PRETRAINED))


@functools.cache
def _families() -> dict[str, str]:
    """Return the torchvision module of each classifier, by name."""
    from torchvision import models  # noqa: PLC0415 - the import takes two seconds

    names = models.list_models(module=models)
    return {name: models.get_model_builder(name).__module__.rpartition(".")[2] for name in names}


class _KeptValues(TorchFunctionMode):
    """Function mode that keeps small tensors on the CPU: some networks compute sizes from their values."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        place = {"device": "cpu"} if function in (torch.arange, torch.linspace, torch.tensor) else {}
        return function(*args, **(kwargs or {}) | place)


def _build(name: str, model: str, *, pretrained: bool, channels: int, classes: int, image_size: int) -> Backbone:
    from torchvision import models  # noqa: PLC0415 - see above

    device = torch.get_default_device()
    load = pretrained and device.type != "meta"
    settings: dict[str, Any] = {"weights": "DEFAULT"} if load else {"num_classes": classes}
    own = SETTINGS.get(_families()[model], lambda _: {})
    with _KeptValues():
        network = models.get_model(model, **settings, **own(image_size))
    return backbone_of(network.to(device), name=name, channels=channels, classes=classes, size=image_size)
