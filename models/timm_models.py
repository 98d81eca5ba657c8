"""Backbones from timm: `timm/resnet50d` and `timm/resnet50d:pretrained`. Install with `pip install exeunt[timm]`.

A backbone consists of timm's own modules, initialised by timm, and gives the same logits. Its blocks follow from the
cuts of the network, see `external`. timm downloads pretrained weights, mostly from the Hugging Face hub, when a network
with them is first built. Planning needs no weights.
"""

from functools import partial
from importlib.util import find_spec
from typing import Any

import torch

from ..specs import SpecError
from ..specs.errors import unknown
from .architectures import PRETRAINED, BackboneBuilder
from .backbone import Backbone
from .external import backbone_of

PREFIX = "timm/"


def resolve_builder(name: str) -> BackboneBuilder:
    """Return the builder of `timm/NAME` or `timm/NAME:pretrained`.

    Raises:
        SpecError: if timm is not installed, or if it does not have the name or its pretrained weights.
    """
    if find_spec("timm") is None:
        raise SpecError(f"{name} needs timm: pip install 'exeunt[timm]'.", field="architecture")
    import timm  # noqa: PLC0415 - optional, and the import takes seconds

    model = name.removeprefix(PREFIX).removesuffix(PRETRAINED)
    suffix = PRETRAINED if ":" in name else ""
    if not timm.is_model(model):
        known = (f"{PREFIX}{one}{suffix}" for one in timm.list_models())
        raise unknown("architecture", name, known, field="architecture")
    if suffix and not timm.is_model_pretrained(model):
        raise SpecError(f"timm has no pretrained weights for {model}; use {PREFIX}{model}.", field="architecture")
    return partial(_build, name, model, pretrained=bool(suffix))


def _build(name: str, model: str, *, pretrained: bool, channels: int, classes: int, image_size: int) -> Backbone:
    import timm  # noqa: PLC0415 - see above

    load = pretrained and torch.get_default_device().type != "meta"
    configured = timm.get_pretrained_cfg(model)
    size: dict[str, Any] = {"img_size": image_size} if configured is not None and configured.fixed_input_size else {}
    network = timm.create_model(model, pretrained=load, in_chans=channels, num_classes=classes, **size)
    return backbone_of(network, name=name, channels=channels, classes=classes, size=image_size)
