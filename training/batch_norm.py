"""Counters of batches in batch normalisations, kept on the host while the network trains."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


class BatchCounters:
    """The `num_batches_tracked` of a network's batch normalisations, whose increments take a kernel for each layer.

    Only a normalisation without momentum reads its counter, so these keep theirs, as do synchronised ones.
    """

    def __init__(self, network: nn.Module) -> None:
        """Find the counters."""
        self._layers = [
            (layer, layer.num_batches_tracked)
            for layer in network.modules()
            if isinstance(layer, _BatchNorm) and not isinstance(layer, nn.SyncBatchNorm)
            if layer.num_batches_tracked is not None and layer.momentum is not None
        ]
        self._passes = 0

    @contextmanager
    def suspended(self, passes: int) -> Iterator[None]:
        """Take the counters out of the layers in the context, in which the network runs `passes` times."""
        self._passes += passes
        for layer, _ in self._layers:
            layer.num_batches_tracked = None
        try:
            yield
        finally:
            for layer, counter in self._layers:
                layer.num_batches_tracked = counter

    def update(self) -> None:
        """Add the passes since the last update to the counters of the layers in training mode."""
        for layer, counter in self._layers:
            if layer.training and self._passes:
                counter.add_(self._passes)
        self._passes = 0
