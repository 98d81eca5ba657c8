"""Networks that are truncated at one exit."""

from torch import Tensor, nn

from ...specs import require
from ..backbone import Block
from ..network import MultiExitNetwork


class TruncatedNetwork(nn.Module):
    """Network that ends at one of its exits and contains only the parts that this exit uses.

    The parts are shared with the original network, not copied.
    """

    def __init__(self, network: MultiExitNetwork, exit: int) -> None:
        """Truncate a network at an exit, numbered from 1; the last number is the network's own classifier.

        Raises:
            SpecError: for a number that no exit has.
        """
        super().__init__()
        count = len(network.exit_blocks)
        require(1 <= exit <= count, f"1 <= exit <= {count}", exit=exit)
        last = network.exit_blocks[exit - 1]
        self.stem = network.trunk.stem
        self.blocks = network.trunk.blocks[:last]
        self.head: nn.Module | None = None
        if exit < count:
            self.head = network.exits[f"block{last}"]
        else:
            self.neck, self.classifier = network.trunk.neck, network.trunk.classifier

    def forward(self, images: Tensor) -> Tensor:
        """Return the exit's logits (N, classes) for images (N, channels, H, W)."""
        hidden = self.stem(images)
        for block in self.blocks:
            hidden = block(hidden)
        if self.head is None:
            return self.classifier(self.neck(hidden))
        last = self.blocks[-1]
        assert isinstance(last, Block)
        return self.head(last.tap(hidden)).logits
