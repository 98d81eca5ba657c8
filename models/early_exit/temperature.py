"""Temperature scaling: one softmax temperature for each exit, fitted on validation images.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv 1706.04599. A temperature does not change the
top class of an exit, only its confidence.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..network import MultiExitNetwork
from .inference import checked_temperatures

LOWEST, HIGHEST = 0.1, 10.0
"""Range of fitted temperatures. Without it, the temperature of an exit without errors would be 0."""
HALVINGS = 50


def fit_temperatures(logits: Tensor, labels: Tensor) -> tuple[float, ...]:
    """Return the temperature of each exit that minimises its negative log-likelihood (NLL), from 0.1 to 10.

    The NLL is convex in the inverse temperature, so bisection finds the root of its derivative, in float64.

    Args:
        logits: Logits (exits, images, classes) of validation images.
        labels: Labels (images,).
    """
    return tuple(_fit(exit_logits.double(), labels) for exit_logits in logits)


def scaled(logits: Tensor, temperatures: Sequence[float]) -> Tensor:
    """Return logits (exits, images, classes), each exit's divided by its temperature."""
    pairs = zip(logits, checked_temperatures(temperatures, len(logits)), strict=True)
    return torch.stack([exit_logits / temperature for exit_logits, temperature in pairs])


class TemperatureScaledNetwork(nn.Module):
    """Network whose output is a tuple of the logits of all exits, each divided by its temperature, for export."""

    def __init__(self, network: MultiExitNetwork, temperatures: Sequence[float]) -> None:
        """Wrap a network without copying its weights; `temperatures` has one value for each exit."""
        super().__init__()
        self.network = network
        self.temperatures = checked_temperatures(temperatures, len(network.exit_blocks))
        self.train(network.training)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the divided logits (N, classes) of each exit for images (N, channels, H, W)."""
        pairs = zip(self.network(images).logits, self.temperatures, strict=True)
        return tuple(logits / temperature for logits, temperature in pairs)


def _fit(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature of one exit for logits (images, classes) in float64."""
    of_labels = logits.gather(1, labels[:, None])[:, 0]
    low, high = 1 / HIGHEST, 1 / LOWEST  # bounds of the inverse temperature
    for _ in range(HALVINGS):
        middle = (low * high) ** 0.5
        slope = ((logits * middle).softmax(1) * logits).sum(1).sub(of_labels).mean()
        low, high = (low, middle) if slope > 0 else (middle, high)
    return (low * high) ** -0.5
