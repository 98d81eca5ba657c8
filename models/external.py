"""Backbones from any network: its own modules, divided at its cuts into stem, blocks, neck and classifier.

A block begins with each part that computes (convolutions, linear layers, or modules that contain them). Normalisations,
activations and other parts without such layers belong to the block before, pooling to the block after. The first block
is the stem. Where the output is no longer a map or a row of tokens, the neck begins.
"""

import itertools
import math
from collections.abc import Collection, Iterable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, fx, nn

from ..specs import SpecError, nearest
from .backbone import Backbone, Block
from .cuts import NotARowError, Part, last_call, opened, parts_of
from .layers import Pool

PRETRAINED = ":pretrained"
"""Suffix of an architecture's name that selects its pretrained weights."""
ISOTROPIC_STAGES = 4
"""Number of stages of a network whose maps all have one size, such as a vision transformer."""

_PROBES = (224, 448)
"""Image heights and widths at which outputs are compared; multiples of 32, the usual total stride."""
_COMPUTING = (nn.modules.conv._ConvNd, nn.Linear)
_NORMALISED = (
    *(nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.modules.instancenorm._InstanceNorm),
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish),
)
"""Modules after which an exit can read a map directly."""
_ACTIVATIONS = frozenset(("relu", "relu_", "relu6", "leaky_relu", "gelu", "silu", "mish", "hardswish"))

Layout = Literal["map", "channels_last", "tokens", "other"]


class Output(NamedTuple):
    """Output of a part for one image."""

    layout: Layout
    """Meaning of the dimensions: (N, C, H, W), (N, H, W, C), (N, L, C), or another one, such as (N, C)."""
    channels: int
    height: int
    """Height of a map; number of tokens."""

    @property
    def positions(self) -> int:
        """Number of positions of a map, if it is square, or of tokens."""
        return self.height if self.layout == "tokens" else self.height**2


class AdoptedBlock(Block):
    """Block of another package's modules."""

    def __init__(self, layers: nn.Module, output: Output, *, stride: int, activated: bool) -> None:
        is_row = output.layout == "tokens"
        prefix = output.height - math.isqrt(output.height) ** 2 if is_row else None
        super().__init__(out_channels=output.channels, stride=stride, activated=activated, prefix_tokens=prefix)
        self.layers = layers
        self.layout = output.layout

    def forward(self, hidden: Tensor) -> Tensor:
        """Map the output of the block before, in the layout of the network."""
        return self.layers(hidden)

    def tap(self, hidden: Tensor) -> Tensor:
        """Return a map (N, C, H, W), or the tokens as (N, C, L, 1)."""
        if self.layout == "channels_last":
            return hidden.permute(0, 3, 1, 2)
        return hidden.transpose(1, 2).unsqueeze(3) if self.layout == "tokens" else hidden


def backbone_of(
    network: nn.Module,
    *,
    name: str,
    channels: int | None = None,
    classes: int | None = None,
    size: int | None = None,
    ends: Collection[str] = (),
) -> Backbone:
    """Build a backbone that gives the same logits as a network, from its modules and with its weights.

    If the images have another number of channels than the first convolution, its weights are summed over the colours
    and divided equally among the channels; a grey image then gives the outputs of three equal colours. A classifier
    with another number of classes is replaced by a new one.

    Args:
        network: Module from images to logits.
        name: Name of the network in messages.
        channels: Channels of the images. Default: those of the first convolution.
        classes: Number of classes. Default: that of the network's classifier.
        size: Image height and width that the network is built for, if it accepts no other.
        ends: Names of cuts after which a block must end.

    Raises:
        SpecError: for a network that is no row of parts, that does not end in a linear classifier, or without a
            requested cut.
    """
    try:
        parts, classifier = _without_classifier(parts_of(network, ends))
    except NotARowError as error:
        rule = f"{name} cannot have exits that stop its computation: {error}"
        raise SpecError(f"{rule}. Choose another network, or change its forward.", field="architecture") from error
    _require_cuts(name, network, parts, ends)
    convolution = first_convolution(part.module for part in parts)
    _read_channels(convolution, channels or convolution.in_channels)
    outputs, only_size = _outputs(name, parts, convolution.in_channels, size or _built_for(network))
    steps = [_Step(part, output) for part, output in zip(parts, outputs, strict=True)]
    trunk = _assembled(steps, classifier, name=name, classes=classes or classifier.out_features, ends=ends)
    trunk.only_size = only_size
    trunk.original_names = _original_names(network, trunk, classifier)
    return trunk


def _without_classifier(parts: Sequence[Part]) -> tuple[list[Part], nn.Linear]:
    """Return the parts before the last linear layer, and that layer. Modules that end in it are opened."""
    *others, last = parts
    if isinstance(last.module, nn.Linear):
        return others, last.module
    if isinstance(last.module, nn.Identity | nn.Flatten):
        return _without_classifier(others)
    inside = opened(last)
    if len(inside) < 2:
        raise NotARowError(f"it ends in {last.names[-1] or type(last.module).__name__}, not in a linear layer")
    return _without_classifier([*others, *inside])


def _require_cuts(name: str, network: nn.Module, parts: Sequence[Part], ends: Collection[str]) -> None:
    cuts = list(dict.fromkeys(cut for part in parts for cut in part.names))
    for end in ends:
        if end not in cuts:
            inside = end in dict(network.named_modules())
            why = "other tensors pass beside its output, such as a skip connection" if inside else "it has no such cut"
            message = f"{name} has no cut after {end!r}: {why}; {nearest(end, cuts)}."
            raise SpecError(message, field="placement")


def first_convolution(modules: Iterable[nn.Module]) -> nn.Conv2d:
    """Return the convolution that reads the images, or raise `SpecError` if there is none."""
    layers = itertools.chain.from_iterable(module.modules() for module in modules)
    convolution = next((layer for layer in layers if isinstance(layer, nn.Conv2d)), None)
    if convolution is None:
        raise SpecError("the network has no convolution that reads images.", field="architecture")
    return convolution


@torch.no_grad()
def _read_channels(convolution: nn.Conv2d, channels: int) -> None:
    if convolution.in_channels != channels:
        shared = convolution.weight.sum(dim=1, keepdim=True) / channels
        convolution.weight = nn.Parameter(shared.repeat(1, channels, 1, 1))
        convolution.in_channels = channels


def _built_for(network: nn.Module) -> int | None:
    """Return the image size that a network of torchvision or timm names, if it does."""
    configured = getattr(network, "default_cfg", None) or {}
    size = getattr(network, "image_size", None) or configured.get("input_size", (None,))[-1]
    return size if isinstance(size, int) else None


def _outputs(
    name: str, parts: Sequence[Part], channels: int, size: int | None
) -> tuple[list[Output], int | None]:
    """Return the output of each part, and the only image size that the network accepts, if there is one."""
    try:
        small, large = (_shapes(parts, channels, probe) for probe in _PROBES)
        return [_output(one, two) for one, two in zip(small, large, strict=True)], None
    except (RuntimeError, AssertionError, ValueError):
        pass
    size = size or _PROBES[0]
    try:
        return [_output(shape, None) for shape in _shapes(parts, channels, size)], size
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise SpecError(f"{name} does not accept images of {size}x{size}: {reason}.", field="architecture") from error


@torch.no_grad()
def _shapes(parts: Sequence[Part], channels: int, size: int) -> list[torch.Size]:
    shapes = [torch.Size((1, channels, size, size))]
    for part in parts:
        shapes.append(_shape_after(shapes[-1], part.module))
    return shapes[1:]


@torch.no_grad()
def _shape_after(shape: torch.Size, part: nn.Module) -> torch.Size:
    """Return the output shape of `part` in evaluation mode for an input shape, computed on the meta device."""
    weights = itertools.chain(part.named_parameters(), part.named_buffers())
    on_meta = {name: weight.to("meta") for name, weight in weights}
    modes = {module: module.training for module in part.modules()}
    part.eval()
    after = torch.func.functional_call(part, on_meta, (torch.empty(shape, device="meta"),)).shape
    for module, training in modes.items():
        module.training = training
    return after


def _output(shape: torch.Size, of_larger: torch.Size | None) -> Output:
    """Return the meaning of an output, from the dimensions that grow with the image, or that are equal."""
    sizes = tuple(shape)
    if len(sizes) == 3:
        return Output("tokens", sizes[2], sizes[1])
    if len(sizes) == 4:
        grows = [one != two for one, two in zip(sizes, of_larger, strict=True)] if of_larger else None
        if grows == [False, False, True, True] or (not grows and sizes[2] == sizes[3] > 1):
            return Output("map", sizes[1], sizes[2])
        if grows == [False, True, True, False] or (not grows and sizes[1] == sizes[2] > 1):
            return Output("channels_last", sizes[3], sizes[1])
    return Output("other", sizes[1] if len(sizes) > 1 else 1, 1)


class _Step(NamedTuple):
    """Part and its output for one image."""

    part: Part
    output: Output

    @property
    def computes(self) -> bool:
        """True if the part contains convolutions or linear layers."""
        return any(isinstance(layer, _COMPUTING) for layer in self.part.module.modules())


def _assembled(
    steps: Sequence[_Step], classifier: nn.Linear, *, name: str, classes: int, ends: Collection[str]
) -> Backbone:
    (stem, *groups), neck = _grouped(steps, ends)
    if not groups:
        raise SpecError(f"{name} has no block after its stem that an exit could follow.", field="architecture")
    befores = [group[-1].output for group in (stem, *groups)]
    strides = [_ratio(before, after) for before, after in itertools.pairwise(befores)]
    blocks = [
        AdoptedBlock(_row(group), group[-1].output, stride=stride, activated=_is_activated(group))
        for group, stride in zip(groups, strides, strict=True)
    ]
    trunk = Backbone(
        stem=_row(stem),
        stages=_stages(blocks, strides),
        neck=_neck(neck),
        width=classifier.in_features,
        classes=classes,
        stem_stride=math.prod(_strides(stem)),
    )
    trunk.block_names = tuple(tuple(cut for step in reversed(group) for cut in step.part.names) for group in groups)
    trunk.smallest_image *= math.prod(_strides(neck))
    if classifier.out_features == classes:
        trunk.classifier.weight, trunk.classifier.bias = classifier.weight, classifier.bias
    return trunk


def _grouped(steps: Sequence[_Step], ends: Collection[str]) -> tuple[list[list[_Step]], list[_Step]]:
    """Divide the steps into the stem, the blocks and the steps of the neck."""
    groups: list[list[_Step]] = [[]]
    waiting: list[_Step] = []
    closed = False
    for position, step in enumerate(steps):
        if step.output.layout == "other":
            return groups, [*waiting, *steps[position:]]
        is_end = not set(ends).isdisjoint(step.part.names)
        current = groups[-1]
        if step.computes and (closed or any(one.computes for one in current)):
            groups.append([*waiting, step])
            waiting, closed = [], is_end
        elif is_end:
            current += [*waiting, step]
            waiting, closed = [], True
        elif closed or waiting or (len(groups) > 1 and step.output.positions < current[-1].output.positions):
            waiting.append(step)
        else:
            current.append(step)
    return groups, waiting


def _row(steps: Sequence[_Step]) -> nn.Module:
    modules = [step.part.module for step in steps]
    return modules[0] if len(modules) == 1 else nn.Sequential(*modules)


def _ratio(before: Output, after: Output) -> int:
    """Return the factor by which height and width decrease, rounded."""
    return max(1, round(math.sqrt(before.positions / after.positions)))


def _strides(steps: Sequence[_Step]) -> list[int]:
    """Return the strides of all convolutions and poolings in the stem or the neck."""
    found = []
    for step in steps:
        for layer in step.part.module.modules():
            stride = getattr(layer, "stride", 1)
            found.append(max(stride) if isinstance(stride, tuple) else stride)
    return [stride for stride in found if isinstance(stride, int)]


def _stages(blocks: Sequence[AdoptedBlock], strides: Sequence[int]) -> list[list[Block]]:
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


def _neck(steps: Sequence[_Step]) -> nn.Module:
    """Return the neck; global average pooling alone becomes `Pool`, whose input exits can use as a map."""
    modules = [step.part.module for step in steps if not isinstance(step.part.module, nn.Identity)]
    match modules:
        case [nn.AdaptiveAvgPool2d(output_size=(1, 1) | 1), nn.Flatten()]:
            return Pool()
        case [nn.AdaptiveAvgPool2d(output_size=(1, 1) | 1), fx.GraphModule() as flatten] if _is_flatten(flatten):
            return Pool()
    return nn.Sequential(*modules)


def _is_flatten(piece: fx.GraphModule) -> bool:
    return [node.target for node in piece.graph.nodes if node.op.startswith("call")] == [torch.flatten]


def _is_activated(group: Sequence[_Step]) -> bool:
    """Return True if the output of a block has passed a normalisation or an activation last."""
    for step in reversed(group):
        if step.computes or isinstance(step.part.module, _NORMALISED):
            return _ends_activated(step.part.module)
    return False


def _ends_activated(module: nn.Module) -> bool:
    if isinstance(module, _NORMALISED):
        return True
    if type(module).forward is nn.Sequential.forward:
        return len(module) > 0 and _ends_activated(module[-1])  # type: ignore[index]
    last = last_call(module)
    return last in _ACTIVATIONS if isinstance(last, str) else last is not None and _ends_activated(last)


def _original_names(network: nn.Module, trunk: Backbone, classifier: nn.Linear) -> dict[str, str]:
    """Return the network's names of its weights and buffers, by their names in the backbone."""
    theirs = {id(tensor): name for name, tensor in network.state_dict(keep_vars=True).items()}
    theirs |= {
        id(tensor): theirs[id(getattr(classifier, name))]
        for name, tensor in trunk.classifier.named_parameters()
        if getattr(classifier, name) is not None
    }
    names = {name: theirs.get(id(tensor)) for name, tensor in trunk.state_dict(keep_vars=True).items()}
    return {name: original for name, original in names.items() if original is not None}
