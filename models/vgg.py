"""VGG networks with batch normalisation, for small images.

Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015
(arXiv 1409.1556): table 1, columns A (vgg11), B (vgg13), D (vgg16) and E (vgg19), always with batch normalisation
(`_bn` in other libraries). They have the form of the distillation literature (Tian, Krishnan, Isola, ICLR 2020;
HobbitLong/RepDistiller, models/vgg.py), which also adds vgg8 with one convolution per stage: max-pooling before stages
2, 3 and 4, none before stage 5 at 32x32, global average pooling and a single linear layer.
Initialisation as in that code: He-normal (fan-out) convolutions, N(0, 0.01) in the classifier, zero biases.
Convolutions have a bias, as in the paper and the published counts, although the normalisation cancels it.
"""

from functools import partial

from torch import Tensor, nn

from .architectures import BackboneBuilder
from .backbone import Backbone, Block
from .layers import Pool, initialise


class ConvolutionBlock(Block):
    """3x3 convolution with normalisation and activation, after a max-pooling if it halves the map."""

    def __init__(self, in_channels: int, out_channels: int, *, halves: bool) -> None:
        super().__init__(out_channels=out_channels, stride=2 if halves else 1)
        convolution = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        assert convolution.bias is not None
        nn.init.zeros_(convolution.bias)
        self.pool = nn.MaxPool2d(2) if halves else nn.Identity()
        self.convolution = nn.Sequential(convolution, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        return self.convolution(self.pool(hidden))


def vgg(lengths: tuple[int, ...], *, channels: int, classes: int) -> Backbone:
    """Build a VGG network with five stages of 64, 128, 256, 512 and 512 channels.

    Args:
        lengths: Number of convolutions in each stage; each convolution is a block.
        channels: Channels of the images.
        classes: Number of classes.
    """
    in_channels = channels
    stages: list[list[Block]] = []
    for number, (length, width) in enumerate(zip(lengths, (64, 128, 256, 512, 512), strict=True), start=1):
        stages.append([])
        for position in range(length):
            halves = number in (2, 3, 4) and position == 0
            stages[-1].append(ConvolutionBlock(in_channels, width, halves=halves))
            in_channels = width
    trunk = initialise(Backbone(stem=nn.Identity(), stages=stages, neck=Pool(), width=in_channels, classes=classes))
    nn.init.normal_(trunk.classifier.weight, std=0.01)
    nn.init.zeros_(trunk.classifier.bias)
    return trunk


BUILDERS: dict[str, BackboneBuilder] = {
    f"vgg{depth}": partial(vgg, lengths)
    for depth, lengths in (
        (8, (1, 1, 1, 1, 1)),
        (11, (1, 1, 2, 2, 2)),
        (13, (2, 2, 2, 2, 2)),
        (16, (2, 2, 3, 3, 3)),
        (19, (2, 2, 4, 4, 4)),
    )
}
