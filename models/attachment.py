"""Exits on a network from elsewhere: `attach_exits`, and its weights under the names that it gives them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..specs import SpecError
from .backbone import Backbone
from .exit_head import build_head
from .external import backbone_of, first_convolution
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
    layout = layout_of(trunk, image_shape or (first_convolution([network]).in_channels, size, size))
    blocks = resolve(after, layout) if isinstance(after, str) else [_block_after(name, trunk, label) for name in names]
    classes = trunk.classifier.out_features
    device = trunk.classifier.weight.device
    exits = {block: build_head(head, layout, block, classes).to(device) for block in blocks}
    attached = MultiExitNetwork(trunk, exits)
    return attached.train(network.training)


def _block_after(name: str, trunk: Backbone, network: str) -> int:
    for number, names in enumerate(trunk.block_names[:-1], start=1):
        if name in names:
            return number
    rule = f"an exit after {name!r} would be in the stem, or at the end of {network}"
    raise SpecError(f"{rule}; choose a cut between: {', '.join(n[0] for n in trunk.block_names[:-1])}.", field="placement")


def original_state(network: MultiExitNetwork) -> dict[str, Tensor]:
    """Return the weights and buffers of the backbone under the names of the network that it was made from.

    For a backbone of Exeunt, the names are its own. Exits are left out.
    """
    state = network.trunk.state_dict()
    return {network.trunk.original_names.get(name, name): tensor for name, tensor in state.items()}


@torch.no_grad()
def load_original_state(network: MultiExitNetwork, state: Mapping[str, Tensor]) -> None:
    """Load the weights and buffers of the network that a backbone was made from, under their names there.

    Raises:
        SpecError: if names or shapes differ from those of the backbone. The message counts and names them.
    """
    names = network.trunk.original_names
    wanted = {names.get(name, name): (name, tensor) for name, tensor in network.trunk.state_dict().items()}
    missing, unexpected = (sorted(one - two) for one, two in ((set(wanted), set(state)), (set(state), set(wanted))))
    shaped = [name for name in wanted if name in state and state[name].shape != wanted[name][1].shape]
    if missing or unexpected or shaped:
        found = [f"{len(lacking)} {what} (first: {lacking[0]})" for what, lacking in (
            ("missing", missing), ("unexpected", unexpected), ("of another shape", shaped)) if lacking]  # fmt: skip
        raise SpecError(f"these are the weights of another network: {', '.join(found)}.", field="weights")
    network.trunk.load_state_dict({wanted[name][0]: tensor for name, tensor in state.items()})
