"""Registry of architectures: built-in names, each with the module that builds it, and names of other packages."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..specs import Registry
from .layout_cache import is_cached

if TYPE_CHECKING:
    from torch import nn

    from .backbone import Backbone


BackboneBuilder = Callable[..., "Backbone | nn.Module"]
"""Function or class that builds an architecture with random weights: a `Backbone`, or any network that gives logits.

It takes as keywords, if it needs them, the number of image channels, the number of classes and the height and width of
the images: `channels`, `classes` and `image_size`, or other usual names of them.
"""


PRETRAINED = ":pretrained"
"""Suffix of an architecture's name that selects its pretrained weights."""
BUILT_IN: dict[str, tuple[str, ...]] = {
    "densenet": ("densenet40_12", "densenet121"),
    "mobilenet": ("mobilenet_v2", "mobilenet_v2_crd"),
    "msdnet": ("msdnet",),
    "preact_resnet": ("preact_resnet18", "preact_resnet50"),
    "resnet": (
        *("resnet8", "resnet14", "resnet20", "resnet32", "resnet44", "resnet56", "resnet110"),
        *("resnet8x4", "resnet32x4"),
        *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnet18_eed"),
    ),
    "resnext": ("resnext29_8x64d", "resnext50_32x4d", "resnext101_32x4d"),
    "seresnet": ("seresnet18", "seresnet50"),
    "shufflenet": ("shufflenet_v1", "shufflenet_v1_crd", "shufflenet_v2", "shufflenet_v2_crd"),
    "vgg": ("vgg8", "vgg11", "vgg13", "vgg16", "vgg19"),
    "wide_resnet": ("wrn_16_1", "wrn_16_2", "wrn_28_10", "wrn_40_1", "wrn_40_2"),
}
"""Names of the built-in architectures by module. The module is imported when one of them is built."""

architectures: Registry[BackboneBuilder] = Registry("architecture")


def _builder(module: str, name: str) -> BackboneBuilder:
    return importlib.import_module(f".{module}", __package__).BUILDERS[name]


def _library_builder(module: str, name: str) -> BackboneBuilder:
    """Return the builder of a network of another package.

    The name is checked with the package, unless the cache has a layout of this network.
    """

    def resolved() -> BackboneBuilder:
        return importlib.import_module(f".{module}", __package__).resolve_builder(name)

    if not is_cached(name):
        return resolved()

    def build(*, channels: int, classes: int, image_size: int) -> Backbone | nn.Module:
        return resolved()(channels=channels, classes=classes, image_size=image_size)

    return build


for _module, _names in BUILT_IN.items():
    for _name in _names:
        architectures.register_lazily(_name, functools.partial(_builder, _module, _name))
for _package in ("torchvision", "timm"):
    architectures.register_pattern(f"{_package}/*", functools.partial(_library_builder, f"{_package}_models"))
