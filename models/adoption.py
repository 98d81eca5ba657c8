"""Blocks, classifier and weights of backbones that are made from other networks."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .backbone import Backbone, Block
from .layers import autocasts
from .probing import Output

ISOTROPIC_STAGES = 4
"""Number of stages of a network whose maps all have one size, such as a vision transformer."""
IMAGE_CHANNELS = (3, 1)
"""Numbers of channels of images for which networks of other packages are built."""


class AdoptedBlock(Block):
    """Block of another package's modules."""

    def __init__(self, layers: nn.Module, output: Output, *, stride: int, activated: bool) -> None:
        is_row = output.arrangement == "tokens"
        prefix = output.height - math.isqrt(output.height) ** 2 if is_row else None
        super().__init__(out_channels=output.channels, stride=stride, activated=activated, prefix_tokens=prefix)
        self.layers = layers
        self.arrangement = output.arrangement

    def forward(self, hidden: Tensor) -> Tensor:
        """Map the output of the block before, in the layout of the network."""
        return self.layers(hidden)

    def tap(self, hidden: Tensor) -> Tensor:
        """Return a map (N, C, H, W), or the tokens as (N, C, L, 1)."""
        if self.arrangement == "channels_last":
            return hidden.permute(0, 3, 1, 2)
        return hidden.transpose(1, 2).unsqueeze(3) if self.arrangement == "tokens" else hidden


class OwnClassifier(nn.Module):
    """Classifier of a network that does not end in a linear layer."""

    def __init__(self, layers: Sequence[nn.Module], shape: Sequence[int], classes: int) -> None:
        """Set the last layers.

        Args:
            layers: Layers from the last features to the logits; none if the logits are the features.
            shape: Shape of the features of one image, as the layers read them, such as (C, 1, 1).
            classes: Number of classes.
        """
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.shape = tuple(shape)
        self.in_features = math.prod(shape)
        self.out_features = classes

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, width) to logits (N, classes), in float32 under autocast."""
        features = features.reshape(-1, *self.shape)
        if not autocasts(features):
            return self.layers(features).flatten(1)
        with torch.autocast(features.device.type, enabled=False):
            return self.layers(features.float()).flatten(1)


def read_older_names(trunk: Backbone) -> None:
    """Let a backbone read weights that 0.1.0 wrote, whose names in stem and neck were others, in the same order."""
    own = {name: tensor.shape for name, tensor in trunk.state_dict(keep_vars=True).items()}

    def rename(state: dict[str, Any], prefix: str, *_: Any) -> None:
        names = [name for name in state if name.startswith(prefix)]
        if {*names} != {f"{prefix}{name}" for name in own} and [state[name].shape for name in names] == [*own.values()]:
            tensors = [state.pop(name) for name in names]
            state.update(zip((f"{prefix}{name}" for name in own), tensors, strict=True))

    trunk._register_load_state_dict_pre_hook(rename)


def adopt_classifier(trunk: Backbone, classifier: nn.Linear | OwnClassifier) -> None:
    """Let a backbone use the weights of a network's classifier, if they are for the same number of classes."""
    if isinstance(classifier, OwnClassifier):
        trunk.add_module("classifier", classifier)
    elif classifier.out_features == trunk.classifier.out_features:
        trunk.classifier.weight, trunk.classifier.bias = classifier.weight, classifier.bias


def image_channels(network: nn.Module) -> int:
    """Return the number of channels of the images that a network was built for."""
    convolution = _image_convolution(network)
    return IMAGE_CHANNELS[0] if convolution is None else convolution.in_channels


def _image_convolution(network: nn.Module) -> nn.Conv2d | None:
    """Return the convolution that reads the images; None if they are rearranged first."""
    convolution = next((layer for layer in network.modules() if isinstance(layer, nn.Conv2d)), None)
    return convolution if convolution is not None and convolution.in_channels in IMAGE_CHANNELS else None


@torch.no_grad()
def read_channels(network: nn.Module, channels: int) -> None:
    """Make a network read images with this number of channels.

    The weights of the first convolution are summed over the colours and divided equally among the channels.
    """
    convolution = _image_convolution(network)
    if convolution is not None and convolution.in_channels != channels:
        shared = convolution.weight.sum(dim=1, keepdim=True) / channels
        convolution.weight = nn.Parameter(shared.repeat(1, channels, 1, 1))
        convolution.in_channels = channels


def built_for(network: nn.Module) -> int | None:
    """Return the image size that a network of torchvision or timm names, if it does."""
    configured = getattr(network, "default_cfg", None) or {}
    size = getattr(network, "image_size", None) or configured.get("input_size", (None,))[-1]
    return size if isinstance(size, int) else None


def strides_between(outputs: Sequence[Output]) -> list[int]:
    """Return the factors by which height and width decrease from each output to the next, rounded."""
    pairs = itertools.pairwise(outputs)
    return [max(1, round(math.sqrt(before.positions / after.positions))) for before, after in pairs]


def staged(blocks: Sequence[Block], strides: Sequence[int]) -> list[list[Block]]:
    """Divide blocks where the maps become smaller; if they never do, into stages of equal length."""
    stages: list[list[Block]] = []
    for block, stride in zip(blocks, strides, strict=True):
        if stride > 1 or not stages:
            stages.append([])
        stages[-1].append(block)
    if len(stages) > 1 or len(blocks) < ISOTROPIC_STAGES:
        return stages
    bounds = [round(number * len(blocks) / ISOTROPIC_STAGES) for number in range(ISOTROPIC_STAGES + 1)]
    return [list(blocks[start:end]) for start, end in itertools.pairwise(bounds)]


def original_names(state: Mapping[str, Tensor], trunk: Backbone, classifier: nn.Module) -> dict[str, str]:
    """Return the names of weights and buffers in the network that a backbone was made from, by those in the backbone.

    Args:
        state: Weights and buffers of the network, under its names.
        trunk: Backbone with the same tensors.
        classifier: Classifier of the network.
    """
    theirs = {id(tensor): name for name, tensor in state.items()}
    if isinstance(classifier, nn.Linear):  # the backbone has one of its own
        old = dict(classifier.named_parameters())
        theirs |= {id(new): theirs[id(old[name])] for name, new in trunk.classifier.named_parameters() if name in old}
    names = {name: theirs.get(id(tensor)) for name, tensor in trunk.state_dict(keep_vars=True).items()}
    return {name: original for name, original in names.items() if original is not None}
