"""Networks of other packages as trunks: their own modules, taken apart into stem, blocks, neck and classifier."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..specs import SpecError
from .backbone import Backbone, Block

PRETRAINED = ":pretrained"
"""What is written behind an architecture's name to ask for its trained weights."""

_PROBE = 224
"""Height and width at which strides are measured: a multiple of 32, by which these networks divide their images."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A network's modules in the order in which they run."""

    stem: Iterable[nn.Module]
    blocks: Sequence[nn.Module]
    neck: Iterable[nn.Module]
    classifier: nn.Linear
    activated: bool = True
    """Whether what leaves a block has been normalised. Where it has, exits read it as the network's next block does,
    even if no activation follows, as at the linear bottlenecks of MobileNetV2 and its successors."""
    neck_stride: int = 1
    """By which the neck divides height and width before it pools over all of them."""


class AdoptedBlock(Block):
    """A block made of another package's modules."""

    def __init__(self, layers: nn.Module, *, out_channels: int, stride: int, activated: bool) -> None:
        super().__init__(out_channels=out_channels, stride=stride, activated=activated)
        self.layers = layers

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        return self.layers(hidden)


def adopt(name: str, parts: Parts, *, channels: int, classes: int) -> Backbone:
    """The trunk that gives the logits of the network whose parts these are.

    A stage is made of the blocks whose maps have one size. The trunk keeps the weights, with two exceptions: for
    images of other channels than the first convolution reads, its weights are summed over the colours and shared
    equally by the channels, so that a grey image gives what three equal colours gave; and a classifier for another
    number of classes is replaced by a new one.

    Raises:
        SpecError: for a network that doesn't divide height and width by whole numbers.
    """
    stem, neck = nn.Sequential(*parts.stem), nn.Sequential(*parts.neck)
    _read_channels(_first_convolution([stem, *parts.blocks]), channels)
    *maps, _ = itertools.accumulate(
        [stem, *parts.blocks, neck], _shape_after, initial=torch.Size((1, channels, _PROBE, _PROBE))
    )
    sizes = [shape[2] for shape in maps]
    if any(before % after for before, after in itertools.pairwise(sizes)):
        raise SpecError(f"{name} doesn't divide its maps by whole numbers, but goes {sizes}.", field="architecture")
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
        trunk.classifier = parts.classifier
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
    """Of what `part`, in evaluation mode, makes of a map of a shape; computed without values."""
    weights = itertools.chain(part.named_parameters(), part.named_buffers())
    on_meta = {name: weight.to("meta") for name, weight in weights}
    training = part.training
    part.eval()
    after = torch.func.functional_call(part, on_meta, (torch.empty(shape, device="meta"),)).shape
    part.train(training)
    return after
