"""Backbones from the function or class that an architecture's name is registered for."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from ..specs.user_code import refused, user_code
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
    values = {"channels": channels, "classes": classes, "image_size": size}
    name = getattr(build, "__name__", type(build).__name__)
    settings: dict[str, int] = {}

    def received() -> str:
        arguments = ", ".join(f"{key}={value}" for key, value in settings.items())
        return f"It was called as {name}({arguments}); a builder can take {_listed()}."

    with user_code(f"the builder {name}", build, received=received, owns=True, field="architecture"):
        taken = inspect.signature(build).parameters
        settings |= {name: values[key] for key, names in NAMES.items() for name in names if name in taken}
        network = build(**settings)
        if not isinstance(network, nn.Module):
            problem = f"returned {type(network).__name__}, not a torch.nn.Module; return the network."
            raise refused(name, problem, build, field="architecture")
        if not isinstance(network, Backbone):
            return backbone_of(network, name=name, channels=channels, classes=classes, size=size)
    if network.classifier.out_features != classes:
        problem = f"returned a network with {network.classifier.out_features} logits, but the dataset has {classes}"
        fix = "take the argument `classes` and pass it to the classifier"
        raise refused(name, f"{problem} classes; {fix}.", build, field="architecture")
    return network


def _listed() -> str:
    return ", ".join(f"`{name}`" for name, *_ in NAMES.values())
