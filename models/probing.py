"""Shapes of outputs and calls of functions in the parts of a network, found by running them without values."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .cuts import NotARowError, Part

PROBES = (224, 448)
"""Image heights and widths at which outputs are compared; multiples of 32, the usual total stride."""
SIZES = (224, 32, 28, 64, 96, 128, 256, 299)
"""Image heights and widths that are tried for a network that does not name its own."""

Arrangement = Literal["map", "channels_last", "tokens", "other"]

_MULTIPLYING = {
    *("conv1d", "conv2d", "conv3d", "linear", "matmul", "__matmul__", "mm", "bmm", "einsum"),
    *("multi_head_attention_forward", "scaled_dot_product_attention"),
}
"""Names of functions that multiply by weights or attend."""
_NORMALISING = {
    *("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"),
    *("relu", "relu_", "relu6", "leaky_relu", "prelu", "elu", "gelu", "silu", "mish", "hardswish"),
}
"""Names of functions that normalise or activate."""


class Output(NamedTuple):
    """Output of a part for one image."""

    arrangement: Arrangement
    """Meaning of the dimensions: (N, C, H, W), (N, H, W, C), (N, L, C), or another one, such as (N, C)."""
    channels: int
    height: int
    """Height of a map; number of tokens."""

    @property
    def positions(self) -> int:
        """Number of positions of a square map, or of tokens."""
        return self.height if self.arrangement == "tokens" else self.height**2


class Probe(NamedTuple):
    """Part, its output for one image, and the functions that it calls."""

    part: Part
    shape: torch.Size
    """Shape of the output for one image."""
    output: Output
    multiplications: int
    """Number of calls of convolutions, linear layers and attention."""
    normalises_first: bool
    """True if the part normalises or activates its input before it multiplies by weights."""


def probed(parts: Sequence[Part], channels: int, size: int | None) -> tuple[list[Probe], int | None]:
    """Run parts without values, from images with this number of channels.

    Args:
        parts: Parts from the images to the logits.
        channels: Channels of the images.
        size: Height and width of the images, in pixels. Default: the first of `SIZES` that the network accepts.

    Returns:
        The parts with what was found, joined where more than a tensor is passed on; and the only image size
        that the network accepts, if there is one.

    Raises:
        NotARowError: for a network that accepts no image of this size without values.
    """
    problems: list[str] = []
    for one in [size] if size else SIZES:
        joined = _joined(parts, channels, one)
        try:
            only = _run(joined, channels, one)
        except FAILURES as error:
            problems.append(f"on an image of {one}x{one} pixels: {reason(error)}")
            continue
        try:
            small, large = (_run(joined, channels, probe) for probe in PROBES)
        except FAILURES:
            return [_probe(part, run, None) for part, run in zip(joined, only, strict=True)], one
        return [_probe(part, run, other.shape) for part, run, other in zip(joined, small, large, strict=True)], None
    raise NotARowError(problems[0])


FAILURES = (RuntimeError, AssertionError, ValueError, TypeError, IndexError)
"""Errors of networks for images that they do not accept, or for tensors without values."""


def reason(error: Exception) -> str:
    """Return the first line of an error's message, without a full stop."""
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__


class _NotACutError(TypeError):
    """Output of a part that is not one tensor, such as a pair, or whose first dimension does not count the images."""

    def __init__(self, output: Any, number: int) -> None:
        what = f"a tensor {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        super().__init__(f"for one image it returns {what}, not a tensor of one row")
        self.number = number


def _joined(parts: Sequence[Part], channels: int, size: int) -> list[Part]:
    """Return the parts, each joined with those before it after which no exit can be."""
    parts = list(parts)
    for _ in parts[:-1]:
        try:
            _run(parts, channels, size)
        except _NotACutError as error:
            at = error.number
            if at + 1 < len(parts):
                both = nn.Sequential(parts[at].module, parts[at + 1].module)
                parts[at : at + 2] = [Part(names=parts[at + 1].names, module=both)]
                continue
        except FAILURES:
            pass
        break
    return parts


class _PartRun(NamedTuple):
    shape: torch.Size
    called: list[str]


@torch.no_grad()
def _run(parts: Sequence[Part], channels: int, size: int) -> list[_PartRun]:
    """Run the parts in turn on the meta device in evaluation mode."""
    runs: list[_PartRun] = []
    shape = torch.Size((1, channels, size, size))
    for number, part in enumerate(parts):
        with _Names() as names:
            output = output_of(part.module, shape)
        if not isinstance(output, Tensor) or output.shape[:1] != (1,):
            raise _NotACutError(output, number)
        shape = output.shape
        runs.append(_PartRun(shape, names.called))
    return runs


def output_of(module: nn.Module, shape: Sequence[int]) -> Any:
    """Return the output of a module in evaluation mode for an input of this shape, on the meta device."""
    weights = itertools.chain(module.named_parameters(), module.named_buffers())
    on_meta = {name: weight.to("meta") for name, weight in weights}
    modes = {inner: inner.training for inner in module.modules()}
    module.eval()
    try:
        with torch.device("meta"):
            return torch.func.functional_call(module, on_meta, (torch.empty(shape),))
    finally:
        for inner, training in modes.items():
            inner.training = training


class _Names(TorchFunctionMode):
    """Function mode that records the names of the functions that multiply or normalise."""

    def __init__(self) -> None:
        super().__init__()
        self.called: list[str] = []

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if (name := getattr(function, "__name__", "")) in _MULTIPLYING | _NORMALISING:
            self.called.append(name)
        return function(*args, **(kwargs or {}))


def _probe(part: Part, run: _PartRun, of_larger: torch.Size | None) -> Probe:
    multiplications = sum(name in _MULTIPLYING for name in run.called)
    normalises_first = bool(run.called) and run.called[0] in _NORMALISING
    return Probe(part, run.shape, arranged(run.shape, of_larger), multiplications, normalises_first)


def arranged(shape: torch.Size, of_larger: torch.Size | None = None) -> Output:
    """Return the meaning of an output, from the dimensions that grow with the image, or that are equal."""
    sizes = tuple(shape)
    grows = [one != two for one, two in zip(sizes, of_larger, strict=True)] if of_larger else None
    if len(sizes) == 3 and grows in (None, [False, True, False]):
        return Output("tokens", sizes[2], sizes[1])
    if len(sizes) == 4:
        if grows == [False, False, True, True] or (not grows and sizes[2] == sizes[3] > 1):
            return Output("map", sizes[1], sizes[2])
        if grows == [False, True, True, False] or (not grows and sizes[1] == sizes[2] > 1):
            return Output("channels_last", sizes[3], sizes[1])
    return Output("other", sizes[1] if len(sizes) > 1 else 1, 1)
