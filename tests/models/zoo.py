"""Networks of people, torchvision and timm to which tests attach exits."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Residual(nn.Module):
    """Block with a skip connection."""

    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, out_channels, 3, stride, 1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.second = nn.Conv2d(out_channels, out_channels, 3, 1, 1)
        self.skip = nn.Conv2d(channels, out_channels, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.skip(x) + self.second(F.relu(self.norm(self.first(x)))))


class Small(nn.Module):
    """Network as a person writes it, with functions beside modules and dropout that follows the mode."""

    def __init__(self, in_channels: int = 3, num_classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 8, 3, padding=1)
        self.blocks = nn.ModuleList([Residual(8, 8, 1), Residual(8, 16, 2), Residual(16, 32, 2)])
        self.fc = nn.Linear(32, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        x = F.dropout(x.mean((2, 3)), 0.5, self.training)
        return self.fc(x)


class Plain(nn.Module):
    """Row of convolutions without blocks."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, 2, 1)
        self.c, self.fc = nn.Conv2d(16, 32, 3, 2, 1), nn.Linear(32, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.a(x)), 2)
        x = F.relu(self.b(x))
        return self.fc(F.relu(self.c(x)).mean((2, 3)))


class Untraceable(Small):
    """Network whose `forward` asks for the values of its input."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.cat([row for row in x.unbind() if len(row) == 3]).unflatten(0, (-1, 3)))


class LeNet(nn.Module):
    """Network for images of one size, as people write it for MNIST."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2 = nn.Linear(400, 84), nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.view(-1, 400))))


class InlineSkip(nn.Module):
    """Network whose own `forward` has a skip connection over two of its modules."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b = (nn.Conv2d(i, 8, 3, padding=1) for i in (3, 8, 8))
        self.c, self.fc = nn.Conv2d(8, 16, 3, 2, 1), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        x = x + self.b(F.relu(self.a(x)))
        return self.fc(F.relu(self.c(x)).mean((2, 3)))


OWN = {one.__name__: one for one in (Small, Plain, Untraceable, InlineSkip)}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Network and the side of the smallest images that it is tested with."""

    name: str
    size: int = 32
    channels: int = 3

    def build(self, classes: int = 10) -> nn.Module:
        """Build the network with random weights."""
        library, _, model = self.name.partition("/")
        if library == "torchvision":
            from torchvision import models

            return models.get_model(model, num_classes=classes)
        if library == "timm":
            return pytest.importorskip("timm").create_model(model, num_classes=classes)
        return LeNet() if self.name == "LeNet" else OWN[self.name]()


def _subjects(*names: str, size: int = 32) -> list[Subject]:
    return [Subject(name=name, size=size) for name in names]


ON_EACH_CHANGE = [
    *_subjects(*OWN),
    Subject(name="LeNet", size=28, channels=1),
    *_subjects("torchvision/resnet18", "torchvision/mobilenet_v3_small", "timm/convnextv2_atto"),
    *_subjects("timm/deit_tiny_patch16_224", size=224),
]
SLOW = [
    *_subjects("torchvision/densenet121", "timm/resnetv2_50", "timm/twins_pcpvt_small"),
    *_subjects("torchvision/squeezenet1_1", "torchvision/swin_t", size=64),
]
NIGHTLY = [
    *_subjects("torchvision/efficientnet_b0", "torchvision/convnext_tiny", "timm/rexnet_100", "timm/vovnet39a"),
    *_subjects("timm/tresnet_m", "torchvision/vgg16_bn", "timm/repvgg_a0", size=64),
    *_subjects("timm/levit_128s", "timm/deit_tiny_distilled_patch16_224", "timm/mobilevit_xxs", size=224),
    *_subjects("torchvision/vit_b_16", "torchvision/maxvit_t", "torchvision/alexnet", size=224),
    *_subjects("timm/swin_tiny_patch4_window7_224", "timm/xcit_nano_12_p16_224", "timm/cait_xxs24_224", size=224),
    *_subjects("timm/coatnet_nano_rw_224", "timm/mixer_s16_224", "timm/nest_tiny", "timm/volo_d1_224", size=224),
    *_subjects("timm/hrnet_w18_small", "timm/ghostnet_100", "timm/dla34", "timm/dpn68", "timm/xception41", size=64),
    *_subjects("timm/nfnet_l0", "timm/nasnetalarge", "timm/inception_v4", "timm/fastvit_t8", size=128),
    *_subjects("timm/crossvit_9_240", size=240),
]
NETWORKS = [
    *ON_EACH_CHANGE,
    *(pytest.param(one, marks=pytest.mark.slow) for one in SLOW),
    *(pytest.param(one, marks=pytest.mark.nightly) for one in NIGHTLY),
]
