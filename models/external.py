"""Backbones from networks of other packages: their modules, split into stem, blocks, neck and classifier."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..specs import SpecError
from .backbone import Backbone, Block

PRETRAINED = ":pretrained"
"""Suffix of an architecture's name that selects its pretrained weights."""

_PROBE = 224
"""Image height and width at which strides are measured; a multiple of 32, the total stride of these networks."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Modules of a network in execution order."""

    stem: Iterable[nn.Module]
    blocks: Sequence[nn.Module]
    neck: Iterable[nn.Module]
    classifier: nn.Linear
    activated: bool = True
    """True if the output of a block is normalised. Exits then read it directly, as the next block does, even without
    an activation, as after the linear bottlenecks of MobileNetV2 and its successors."""
    neck_stride: int = 1
    """Factor by which the neck divides height and width before its global pooling."""


class AdoptedBlock(Block):
    """Block of another package's modules."""

    def __init__(self, layers: nn.Module, *, out_channels: int, stride: int, activated: bool) -> None:
        super().__init__(out_channels=out_channels, stride=stride, activated=activated)
        self.layers = layers

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        return self.layers(hidden)


def adopt(name: str, parts: Parts, *, channels: int, classes: int) -> Backbone:
    """Build a backbone that gives the same logits as the network with these parts.

    A stage contains the blocks whose maps have the same size. The backbone keeps the weights, with two exceptions.
    If the images have another number of channels than the first convolution, its weights are summed over the colours
    and divided equally among the channels; a grey image then gives the outputs of three equal colours. A classifier
    with another number of classes is replaced by a new one.

    Raises:
        SpecError: for a network whose strides are not integers.
    """
    stem, neck = nn.Sequential(*parts.stem), nn.Sequential(*parts.neck)
    _read_channels(_first_convolution([stem, *parts.blocks]), channels)
    *maps, _ = itertools.accumulate(
        [stem, *parts.blocks, neck], _shape_after, initial=torch.Size((1, channels, _PROBE, _PROBE))
    )
    sizes = [shape[2] for shape in maps]
    if any(before % after for before, after in itertools.pairwise(sizes)):
        rule = f"a 224x224 image gives maps of the sizes {sizes}, so its strides are not whole numbers"
        raise SpecError(f"{name} cannot have exits: {rule}; choose another architecture.", field="architecture")
    strides = [before // after for before, after in itertools.pairwise(sizes)]
    stages: list[list[Block]] = []
    for layers, shape, stride in zip(parts.blocks, maps[2:], strides[1:], strict=True):
        if stride > 1 or not stages:
            stages.append([])
        block = AdoptedBlock(layers, out_channels=shape[1], stride=stride, activated=parts.activated)
        stages[-1].append(block)
    width = parts.classifier.in_features
    trunk = Backbone(stem=stem, stages=stages, neck=neck, width=width, classes=classes, stem_stride=strides[0])
    trunk.smallest_image *= parts.neck_stride
    if parts.classifier.out_features == classes:
        trunk.classifier.weight, trunk.classifier.bias = parts.classifier.weight, parts.classifier.bias
    return trunk


def _first_convolution(parts: Iterable[nn.Module]) -> nn.Conv2d:
    layers = itertools.chain.from_iterable(part.modules() for part in parts)
    return next(layer for layer in layers if isinstance(layer, nn.Conv2d))


@torch.no_grad()
def _read_channels(convolution: nn.Conv2d, channels: int) -> None:
    if convolution.in_channels != channels:
        shared = convolution.weight.sum(dim=1, keepdim=True) / channels
        convolution.weight = nn.Parameter(shared.repeat(1, channels, 1, 1))
        convolution.in_channels = channels


@torch.no_grad()
def _shape_after(shape: torch.Size, part: nn.Module) -> torch.Size:
    """Return the output shape of `part` in evaluation mode for an input shape, computed on the meta device."""
    weights = itertools.chain(part.named_parameters(), part.named_buffers())
    on_meta = {name: weight.to("meta") for name, weight in weights}
    training = part.training
    part.eval()
    after = torch.func.functional_call(part, on_meta, (torch.empty(shape, device="meta"),)).shape
    part.train(training)
    return after
