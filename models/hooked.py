"""Exits on a network that cannot be divided at cuts: forward hooks read the outputs of some of its modules.

Such exits serve training and accuracy. The whole network runs for each exit, so they save no computation.
"""

import copy
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..specs import SpecError, nearest
from .adoption import AdoptedBlock, OwnClassifier, adopt_classifier, original_names, staged, strides_between
from .backbone import Backbone
from .probing import FAILURES, PROBES, Output, arranged, output_of, reason


class _Call(NamedTuple):
    """Call of a module in a forward pass of one image."""

    name: str
    module: nn.Module
    output: Output


class _Whole(nn.Module):
    """Network that returns the outputs of some of its modules, and its own."""

    def __init__(self, network: nn.Module, names: Collection[str]) -> None:
        super().__init__()
        self.network = network
        self.names = tuple(names)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of the modules, in the order of their names, then that of the network."""
        found: dict[str, Tensor] = {}

        def keep(name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            del module, inputs
            found[name] = output

        with _hooks(self.network, self.names, keep):
            output = self.network(images)
        return (*(found[name] for name in self.names), output)


class _Last(nn.Module):
    """Output of the network, from all outputs of `_Whole`."""

    def forward(self, outputs: tuple[Tensor, ...]) -> Tensor:
        """Return the last output."""
        return outputs[-1]


class HookedBlock(AdoptedBlock):
    """Place after a module of a network that runs as a whole."""

    def __init__(self, number: int, output: Output, *, stride: int) -> None:
        super().__init__(nn.Identity(), output, stride=stride, activated=False)
        self.number = number

    def tap(self, hidden: Any) -> Tensor:
        """Return a map (N, C, H, W), or the tokens as (N, C, L, 1), from the outputs of all modules."""
        return super().tap(hidden[self.number])


def hooked_backbone(
    network: nn.Module,
    *,
    name: str,
    why: str,
    channels: int,
    classes: int | None,
    size: int | None,
    ends: Collection[str],
) -> Backbone:
    """Build a backbone that runs a whole network in its stem, with a block for each module that an exit can follow.

    Args:
        network: Module from images to logits.
        name: Name of the network in messages.
        why: Reason why the network cannot be divided.
        channels: Channels of the images.
        classes: Number of classes. Default: that of the network.
        size: Image height and width. Default: 224.
        ends: Names of the modules that exits can follow. Default: the outermost modules of repeated classes. The
            last block is the end of the network in either case.

    Raises:
        SpecError: for a network that does not run without values, or that has no such modules.
    """
    size = size or PROBES[0]
    calls, classifier = _calls(network, f"{name} cannot have exits", why, (1, channels, size, size))
    chosen = [*_named(calls, ends, name), calls[-1]] if ends else _repeated(calls)
    if not chosen:
        message = f"{name} cannot have exits: {why}, and no class of its modules is repeated."
        raise SpecError(message, field="architecture")
    state = network.state_dict(keep_vars=True)
    if isinstance(classifier, nn.Linear):  # the backbone has it outside of the network
        path = next(path for path, module in network.named_modules() if module is classifier)
        network = _with(network, path, nn.Identity())
    strides = strides_between([Output("map", 0, size), *(call.output for call in chosen)])
    blocks = [HookedBlock(at, call.output, stride=strides[at]) for at, call in enumerate(chosen)]
    trunk = Backbone(
        stem=_Whole(network, [call.name for call in chosen]),
        stages=staged(blocks, strides),
        neck=_Last(),
        width=classifier.in_features,
        classes=classes or classifier.out_features,
    )
    adopt_classifier(trunk, classifier)
    trunk.block_names = tuple((call.name,) for call in chosen)
    trunk.undivided = why
    trunk.smallest_image = 1
    if not _runs(network, (1, channels, 2 * size, 2 * size)):
        trunk.only_size = size
    trunk.original_names = original_names(state, trunk, classifier)
    return trunk


@contextmanager
def _hooks(network: nn.Module, names: Collection[str], keep: Callable[..., None]) -> Iterator[None]:
    """Call `keep(name, module, inputs, output)` after each call of the modules with these names."""
    handles = []
    for name in names:

        def called(module: nn.Module, inputs: Any, output: Any, name: str = name) -> None:
            keep(name, module, inputs, output)

        handles.append(network.get_submodule(name).register_forward_hook(called))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def _calls(
    network: nn.Module, message: str, why: str, shape: Sequence[int]
) -> tuple[list[_Call], nn.Linear | OwnClassifier]:
    """Return the calls of modules whose output is a map or tokens, in order, and the classifier."""
    found: list[tuple[str, nn.Module, Any]] = []

    def keep(name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        del inputs
        found.append((name, module, output))

    with _hooks(network, [name for name, _ in network.named_modules() if name], keep):
        try:
            logits = output_of(network, shape)
        except FAILURES as error:
            more = "" if reason(error) in why else f", and on an image of {shape[2]}x{shape[3]} pixels: {reason(error)}"
            raise SpecError(f"{message}: {why}{more}.", field="architecture") from error
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise SpecError(f"{message}: {why}, and it does not return a logit for each class.", field="architecture")
    last = next((module for _, module, output in found if output is logits and isinstance(module, nn.Linear)), None)
    classifier = last if last is not None else OwnClassifier([], logits.shape[1:], logits.shape[1])
    times = Counter(name for name, _, _ in found)
    tensors = [
        _Call(name, module, arranged(output.shape))
        for name, module, output in found
        if times[name] == 1 and isinstance(output, Tensor) and output.shape[:1] == (1,)
    ]
    return [call for call in tensors if call.output.arrangement != "other"], classifier


def _named(calls: Sequence[_Call], ends: Collection[str], network: str) -> list[_Call]:
    names = [call.name for call in calls]
    for end in ends:
        if end not in names:
            message = f"{network} returns no map or tokens after {end!r}; {nearest(end, names)}."
            raise SpecError(message, field="placement")
    return [call for call in calls if call.name in ends]


def _repeated(calls: Sequence[_Call]) -> list[_Call]:
    """Return the calls of classes with modules inside that occur more than once, without those inside of others."""
    counts = Counter(type(call.module) for call in calls if any(True for _ in call.module.children()))
    repeated = [call for call in calls if counts[type(call.module)] > 1]
    inside = {call.name for call in repeated for outer in repeated if call.name.startswith(f"{outer.name}.")}
    return [call for call in repeated if call.name not in inside]


def _with(network: nn.Module, path: str, replacement: nn.Module) -> nn.Module:
    """Return a network that shares all modules with another one, except the module at one path."""
    name, _, rest = path.partition(".")
    twin = copy.copy(network)
    twin._modules = dict(network._modules)
    twin._modules[name] = _with(network.get_submodule(name), rest, replacement) if rest else replacement
    return twin


def _runs(network: nn.Module, shape: Sequence[int]) -> bool:
    with suppress(*FAILURES):
        output_of(network, shape)
        return True
    return False
