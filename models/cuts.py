"""Cuts of any network: the places that exactly one tensor passes, and the parts between them.

A network is traced with `torch.fx`, one module at a time: the modules that it calls stay whole, unless they are rows of
further modules. So each part is one of the network's own modules, or a short piece of a `forward` between two cuts.
"""

import operator
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate, map_arg


class NotARowError(Exception):
    """Module that cannot be traced, or whose inputs or outputs are not one tensor. The message gives the reason."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Part of a network between two cuts."""

    names: tuple[str, ...]
    """Names of the cut after the part, the most specific first: paths of modules that end there."""
    module: nn.Module
    """Module from one tensor to one tensor, with the network's own weights."""


def parts_of(network: nn.Module, at: Collection[str] = ()) -> list[Part]:
    """Return the parts of a network, from the images to the logits.

    Args:
        network: Module from images (N, C, H, W) to one tensor.
        at: Paths of modules inside which parts must end, beside rows of modules.

    Raises:
        NotARowError: if the network cannot be traced, with the reason.
    """
    return list(_opened(network, "", frozenset(at)))


def opened(part: Part) -> list[Part]:
    """Return the parts of a part that was kept whole; the part alone if it has none inside.

    Raises:
        NotARowError: if it cannot be traced.
    """
    path = part.names[0]
    if isinstance(part.module, fx.GraphModule) or not any(True for _ in part.module.children()):
        return [part]
    *before, last = _opened(part.module, path, frozenset())
    return [*before, Part(names=tuple(dict.fromkeys((*last.names, *part.names))), module=last.module)]


def _opened(module: nn.Module, path: str, at: frozenset[str]) -> Iterator[Part]:
    """Yield the parts of a module that is not kept whole."""
    if type(module).forward is nn.Sequential.forward:
        children = [(_join(path, name), child) for name, child in module.named_children()]
    else:
        children = [(_join(path, name), piece) for name, piece in _pieces(module)]
    parts: list[Part] = []
    for child_path, child in children:
        is_whole = isinstance(child, fx.GraphModule) or not _is_row(child, child_path, at)
        parts += [Part(names=(child_path,), module=child)] if is_whole else _opened(child, child_path, at)
    if path and parts:
        *others, last = parts
        parts = [*others, Part(names=(*last.names, path), module=last.module)]
    yield from parts


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _is_row(module: nn.Module, path: str, at: frozenset[str]) -> bool:
    """Return True for a module that is divided into parts: a row of blocks, or one with a requested cut inside."""
    if any(name.startswith(f"{path}.") for name in at):
        return True
    if type(module).forward is nn.Sequential.forward:
        return any(True for _ in module.children())
    if not any(_is_row_of_blocks(child) or _is_block(child) for child in module.children()):
        return False
    try:
        pieces = [piece for _, piece in _pieces(module)]
    except NotARowError:
        return False
    return any(map(_is_row_of_blocks, pieces)) or (len(pieces) > 1 and all(map(_is_block, pieces)))


def _is_row_of_blocks(module: nn.Module) -> bool:
    return (
        type(module).forward is nn.Sequential.forward
        and any(module.children())
        and all(map(_is_block, module.children()))
    )


def _is_block(module: nn.Module) -> bool:
    """Return True for a module with modules inside and a `forward` of its own."""
    own = type(module).forward is not nn.Sequential.forward and not isinstance(module, fx.GraphModule)
    return own and any(True for _ in module.children())


class _Shallow(fx.Tracer):
    """Tracer of one `forward`, called with one tensor: all modules that it calls stay calls."""

    def create_args_for_root(self, *arguments: Any, **settings: Any) -> tuple[Any, list[Any]]:
        function, inputs = super().create_args_for_root(*arguments, **settings)
        return function, inputs[:2]  # the module and the tensor; other inputs keep their defaults

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002
        return True


def _traced(module: nn.Module, *, training: bool) -> fx.Graph:
    before = module.training
    module.training = training
    try:
        return _Shallow().trace(module)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0].partition(". ")[0].rstrip(".") or type(error).__name__
        raise NotARowError(f"{type(module).__name__}.forward cannot be traced ({reason})") from error
    finally:
        module.training = before


def _pieces(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules that `forward` calls in turn, and its pieces between them as modules, with their names."""
    graph, other = _traced(module, training=True), _traced(module, training=False)
    switches = _switches(module, graph, other)
    entry, pieces = _between_cuts(module, graph)
    for nodes in pieces:
        (*_, last) = nodes
        if len(nodes) == 1 and last.op == "call_module" and last.args == (entry,) and not last.kwargs:
            yield str(last.target), module.get_submodule(str(last.target))
        else:
            yield str(last.target) if last.op == "call_module" else last.name, _piece(module, entry, nodes, switches)
        entry = last


def _between_cuts(module: nn.Module, graph: fx.Graph) -> tuple[fx.Node, list[list[fx.Node]]]:
    """Return the input of a graph, and its nodes, divided where exactly one value that depends on the input passes."""
    (output,) = (node for node in graph.nodes if node.op == "output")
    inputs = [node for node in graph.nodes if node.op == "placeholder" and node.users]
    if len(inputs) != 1 or not isinstance(output.args[0], fx.Node):
        raise NotARowError(f"{type(module).__name__}.forward does not map one tensor to one tensor")
    body = [node for node in graph.nodes if node.op not in ("placeholder", "output")]
    position = {node: number for number, node in enumerate([inputs[0], *body])}
    depends = {inputs[0]}
    for node in body:
        if not depends.isdisjoint(node.all_input_nodes):
            depends.add(node)
    last_use = {node: max((position.get(user, len(position)) for user in node.users), default=0) for node in depends}
    found: list[list[fx.Node]] = [[]]
    living = {inputs[0]}
    for node in body:
        found[-1].append(node)
        if node in depends:
            living.add(node)
        living = {other for other in living if last_use[other] > position[node]}
        if living == {node}:
            found.append([])
    return inputs[0], [nodes for nodes in found if nodes]


def _piece(
    module: nn.Module, entry: fx.Node, nodes: Sequence[fx.Node], switches: dict[str, nn.Module]
) -> fx.GraphModule:
    """Return the nodes of a `forward` after the node `entry` as a module."""
    graph = fx.Graph()
    copies = {entry: graph.placeholder("hidden")}

    def copy_of(node: fx.Node) -> fx.Node:
        if node not in copies:  # a node before the cut that does not depend on the input, such as a parameter
            copies[node] = graph.node_copy(node, copy_of)
        return copies[node]

    for node in nodes:
        copied = copy_of(node)
        if node.name in switches:
            copied.op, copied.target = "call_module", f"mode_{node.name}"
            copied.args, copied.kwargs = tuple(map(copy_of, node.all_input_nodes)), {}
    graph.output(copies[nodes[-1]])
    used: dict[str, Any] = {f"mode_{name}": switch for name, switch in switches.items()}
    for node in graph.nodes:
        if node.op in ("call_module", "get_attr") and node.target not in used:
            used[node.target] = operator.attrgetter(node.target)(module)
    piece = fx.GraphModule(used, graph, type(module).__name__)
    for name in used:
        owner, _, attribute = name.rpartition(".")
        if attribute in module.get_submodule(owner)._non_persistent_buffers_set:
            piece.get_submodule(owner)._non_persistent_buffers_set.add(attribute)
    return piece


class _ByMode(nn.Module):
    """Function whose constants differ between training and evaluation, such as the `training` of a dropout."""

    def __init__(self, function: Callable[..., Tensor], training: Any, evaluation: Any) -> None:
        super().__init__()
        self._function = function
        self._training, self._evaluation = training, evaluation

    def forward(self, *tensors: Tensor) -> Tensor:
        """Call the function with its constants of the current mode."""
        args, kwargs = self._training if self.training else self._evaluation
        waiting = list(tensors)
        args, kwargs = map_aggregate((args, kwargs), lambda a: waiting[a.number] if type(a) is _Input else a)
        return self._function(*args, **kwargs)


@dataclass(frozen=True)
class _Input:
    """Place of an input tensor among the arguments of a function."""

    number: int


def _switches(module: nn.Module, training: fx.Graph, evaluation: fx.Graph) -> dict[str, nn.Module]:
    """Return a module for each function call whose constants differ between the modes, by the name of its node."""
    pairs = list(zip(training.nodes, evaluation.nodes, strict=False))
    if len(training.nodes) != len(evaluation.nodes) or any(
        (one.op, one.target, one.name) != (two.op, two.target, two.name) for one, two in pairs
    ):
        raise NotARowError(f"{type(module).__name__}.forward differs between training and evaluation")
    found: dict[str, nn.Module] = {}
    for one, two in pairs:
        settings = [_constants(node) for node in (one, two)]
        if settings[0] != settings[1]:
            if one.op != "call_function":
                raise NotARowError(f"{type(module).__name__}.forward differs between training and evaluation")
            found[one.name] = _ByMode(one.target, *settings)
    return found


def _constants(node: fx.Node) -> Any:
    """Return positional and keyword arguments with the places of the inputs."""
    order = {source: _Input(number) for number, source in enumerate(node.all_input_nodes)}
    return map_arg((node.args, node.kwargs), lambda source: order[source])  # type: ignore[arg-type, return-value]
