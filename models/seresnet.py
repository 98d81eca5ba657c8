"""SE-ResNets for small images: residual networks with squeeze-and-excitation.

Hu, Shen, Albanie, Sun, Wu, "Squeeze-and-Excitation Networks", CVPR 2018 (arXiv 1709.01507): figure 3 for where the
channel weights apply (to the residual, before the addition), r = 16. Stem and stages are those of the ResNets here.
Initialisation: He-normal (arXiv 1502.01852, as in the paper); the biases of the excitation are zero, as in
torchvision's networks with such blocks (torchvision/models/efficientnet.py).
"""

from functools import partial

from torch import Tensor, nn

from .architectures import BackboneBuilder
from .resnet import BasicBlock, BottleneckBlock, ResidualBlock, resnet


class SqueezeExcitation(nn.Module):
    """Squeeze-and-excitation: each channel is scaled by a function of the means of all channels."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        squeezed = nn.Conv2d(channels, channels // reduction, 1)
        excited = nn.Conv2d(channels // reduction, channels, 1)
        for convolution in (squeezed, excited):
            assert convolution.bias is not None
            nn.init.zeros_(convolution.bias)
        self.weights = nn.Sequential(nn.AdaptiveAvgPool2d(1), squeezed, nn.ReLU(inplace=True), excited, nn.Sigmoid())

    def forward(self, hidden: Tensor) -> Tensor:
        """Scale the channels of a map (N, channels, H, W)."""
        return hidden * self.weights(hidden)


def excited(kind: type[BasicBlock | BottleneckBlock], in_channels: int, channels: int, stride: int, /) -> ResidualBlock:
    """Build a block of this kind with squeeze-and-excitation at the end of its residual."""
    block = kind(in_channels, channels, stride)
    block.residual.append(SqueezeExcitation(block.out_channels))
    return block


BUILDERS: dict[str, BackboneBuilder] = {
    f"seresnet{depth}": partial(resnet, partial(excited, kind), lengths, (64, 128, 256, 512), stem_width=64)
    for depth, kind, lengths in ((18, BasicBlock, (2, 2, 2, 2)), (50, BottleneckBlock, (3, 4, 6, 3)))
}
