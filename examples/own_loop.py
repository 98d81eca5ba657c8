"""A training loop of your own with the loss of EED: attach exits to any network, train, leave early, export.

    python examples/own_loop.py

It trains a small network on scikit-learn's digits for a few seconds.
"""

import torch
from exeunt.losses import EED
from exeunt.models import EarlyExit, attach_exits, export_network
from sklearn.datasets import load_digits
from torch import nn

EPOCHS, BATCH_SIZE = 5, 64


def conv(channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Return a convolution with normalisation and activation."""
    layers = nn.Conv2d(channels, out_channels, 3, stride, 1), nn.BatchNorm2d(out_channels), nn.ReLU()
    return nn.Sequential(*layers)


torch.manual_seed(0)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
labels = torch.tensor(digits.target)
train, test = slice(0, 1400), slice(1400, None)

backbone = nn.Sequential(conv(1, 16, 1), conv(16, 32, 2), conv(32, 64, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
network = attach_exits(nn.Sequential(backbone, nn.Linear(64, 10)), "all", image_shape=(1, 8, 8))
loss = EED(output_loss="kl", temperature=3.0).build_for(network)
optimizer = torch.optim.SGD([*network.parameters(), *loss.parameters()], lr=0.05, momentum=0.9)

for epoch in range(1, EPOCHS + 1):
    for batch in torch.randperm(len(images[train])).split(BATCH_SIZE):
        terms = loss(network(images[train][batch]), labels[train][batch], progress=epoch / EPOCHS)
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
    print(f"epoch {epoch}: " + ", ".join(f"{name} {term.item():.3f}" for name, term in terms.items()))

network.eval()
for number, logits in enumerate(network(images[test]).logits, start=1):
    print(f"exit {number}: {(logits.argmax(1) == labels[test]).float().mean():.1%}")
outputs = EarlyExit(network, "max_probability", 0.9)(images[test])
accuracy = (outputs.logits.argmax(1) == labels[test]).float().mean()
print(f"early exit: {accuracy:.1%}, {(outputs.exits < 3).float().mean():.0%} of the images leave early")
export_network(network, "network.pt2", "torch", (1, 8, 8))
