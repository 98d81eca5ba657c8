"""Exits on a network from elsewhere: `attach_exits`, and its weights under the names that it gives them."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from ..specs import SpecError
from .backbone import Backbone
from .exit_head import build_head
from .external import backbone_of, image_channels
from .heads import heads
from .layout_measurement import layout_of
from .network import MultiExitNetwork
from .placement import resolve


def attach_exits(
    network: nn.Module,
    after: Sequence[str] | str = "all",
    *,
    head: str = "conv",
    image_shape: tuple[int, int, int] | None = None,
) -> MultiExitNetwork:
    """Attach auxiliary exits to a network, which keeps its modules and weights.

    The result is a network like those of Exeunt: it can be truncated, priced, exported and used for early exit.

    Args:
        network: Classifier from images (N, C, H, W) to logits, such as a network of torchvision or timm.
        after: Names of the modules after which the exits are attached, such as `["layer1", "layer2"]`; or a placement
            as in a sweep file, such as `all` or `25%,50%`.
        head: Name of the head of all exits. Its weights are drawn from PyTorch's global generator.
        image_shape: Shape (channels, height, width) of the images. Default: what the network was built for, otherwise
            224x224.

    Raises:
        SpecError: for a network that exits cannot be attached to, for an unknown head, or for a name after which other
            tensors pass as well. The message has the nearest names that are possible.
    """
    heads.check(head)
    names = [] if isinstance(after, str) else list(after)
    label = type(network).__name__
    trunk = backbone_of(network, name=label, size=image_shape[1] if image_shape else None, ends=names)
    size = trunk.only_size or 224
    layout = layout_of(trunk, image_shape or (image_channels(network), size, size))
    blocks = resolve(after, layout) if isinstance(after, str) else [_block_after(name, trunk, label) for name in names]
    classes = trunk.classifier.out_features
    device = next(network.parameters()).device
    exits = {block: build_head(head, layout, block, classes).to(device) for block in blocks}
    attached = MultiExitNetwork(trunk, exits)
    return attached.train(network.training)


def _block_after(name: str, trunk: Backbone, network: str) -> int:
    *earlier, _ = trunk.block_names
    for number, names in enumerate(earlier, start=1):
        if name in names:
            return number
    choices = ", ".join(names[0] for names in earlier)
    rule = f"an exit after {name!r} would be at the end of {network}; choose an earlier one: {choices}"
    raise SpecError(f"{rule}.", field="placement")


def original_state(network: MultiExitNetwork) -> dict[str, Tensor]:
    """Return the weights and buffers of the backbone under the names of the network that it was made from.

    For a backbone of Exeunt, the names are its own. Exits are left out.
    """
    state = network.trunk.state_dict()
    return {network.trunk.original_names.get(name, name): tensor for name, tensor in state.items()}


def load_original_state(network: MultiExitNetwork, state: Mapping[str, Tensor]) -> None:
    """Load the weights and buffers of the network that a backbone was made from, under their names there.

    Raises:
        SpecError: if names or shapes differ from those of the backbone. The message counts and names them.
    """
    theirs = network.trunk.original_names
    own = network.trunk.state_dict()
    refuse_other_weights({theirs.get(name, name): tensor for name, tensor in own.items()}, state)
    network.trunk.load_state_dict({name: state[theirs.get(name, name)] for name in own})


def refuse_other_weights(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Raise `SpecError` if weights differ from those of a network in their names or shapes, with the first of each."""
    shaped = [name for name in expected if name in found and found[name].shape != expected[name].shape]
    differences = {
        "missing": [name for name in expected if name not in found],
        "unexpected": [name for name in found if name not in expected],
        "of another shape": shaped,
    }
    if not any(differences.values()):
        return
    said = [f"{len(names)} {what} (first: {names[0]})" for what, names in differences.items() if names]
    if shaped:
        name = shaped[0]
        said.append(f"{name} is {tuple(found[name].shape)} instead of {tuple(expected[name].shape)}")
    raise SpecError(f"these are the weights of another network: {'; '.join(said)}.", field="weights")
