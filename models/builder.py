"""Backbones from the function or class that an architecture's name is registered for."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ..specs.user_code import is_users, refused, user_code
from .backbone import Backbone
from .external import backbone_of

NAMES = {
    "channels": ("channels", "in_channels", "in_chans", "input_channels"),
    "classes": ("classes", "num_classes", "n_classes", "out_features"),
    "image_size": ("image_size", "img_size"),
}
"""Names under which a builder can take the channels of the images, the number of classes and the image size."""


def backbone_from(build: Callable[..., Any], image_shape: tuple[int, int, int], classes: int) -> Backbone:
    """Build a backbone with random weights for an image shape (channels, height, width).

    Args:
        build: Function or class that returns a `Backbone` or another `nn.Module` from images to logits. It gets those
            of `NAMES` that it takes, as keywords.
        image_shape: Shape of the images.
        classes: Number of classes.

    Raises:
        SpecError: if the function does not return a module, or if it is a network that exits cannot be attached to.
    """
    channels, size, _ = image_shape
    name = getattr(build, "__name__", type(build).__name__)
    settings: dict[str, int] = {}

    def received(_: str) -> str:
        arguments = ", ".join(f"{key}={value}" for key, value in settings.items())
        return f"It was called as {name}({arguments}); a builder can take {_listed()}."

    with user_code(name, build, received=received, owns=True, field="architecture"):
        settings |= _settings(build, image_shape, classes)
        network = build(**settings)
        if not isinstance(network, nn.Module):
            problem = f"returned {type(network).__name__}, not a torch.nn.Module; return the network."
            raise refused(name, problem, build, field="architecture")
        if not isinstance(network, Backbone):
            try:
                return backbone_of(network, name=name, channels=channels, classes=classes, size=size)
            except Exception:
                run_with_values(build, image_shape, classes)
                raise
    if network.classifier.out_features != classes:
        problem = f"returned a network with {network.classifier.out_features} logits, but the dataset has {classes}"
        fix = "take the argument `classes` and pass it to the classifier"
        raise refused(name, f"{problem} classes; {fix}.", build, field="architecture")
    return network


def run_with_values(build: Callable[..., Any], image_shape: tuple[int, int, int], classes: int) -> None:
    """Run a user's network on images of zeros, so that an error of it is raised with clear sizes of tensors."""
    if is_users(build):
        with torch.device("cpu"), torch.no_grad():
            build(**_settings(build, image_shape, classes)).eval()(torch.zeros(2, *image_shape))


def _settings(build: Callable[..., Any], image_shape: tuple[int, int, int], classes: int) -> dict[str, int]:
    """Return the keyword arguments of a builder."""
    channels, size, _ = image_shape
    values = {"channels": channels, "classes": classes, "image_size": size}
    taken = inspect.signature(build).parameters
    return {name: values[key] for key, names in NAMES.items() for name in names if name in taken}


def _listed() -> str:
    return ", ".join(f"`{name}`" for name, *_ in NAMES.values())
