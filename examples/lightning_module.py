"""Exits and the loss of EED in Lightning.

    python examples/lightning_module.py

It needs Lightning (`pip install lightning`), and trains on scikit-learn's digits for a few seconds.
"""

from typing import Any

import lightning
import torch
from exeunt.losses import EED
from exeunt.models import attach_exits
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 3


class MultiExitClassifier(lightning.LightningModule):
    """Network with exits that is trained by exit-ensemble distillation."""

    def __init__(self, network: nn.Module, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.network = attach_exits(network, "all", image_shape=image_shape)
        self.loss = EED(output_loss="kl").build_for(self.network)

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        """Return the sum of the loss terms of a batch."""
        images, labels = batch
        terms = self.loss(self.network(images), labels, progress=(self.current_epoch + 1) / EPOCHS)
        self.log_dict(terms)
        return torch.stack([*terms.values()]).sum()

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        """Log the accuracy of each exit."""
        images, labels = batch
        for number, logits in enumerate(self.network(images).logits, start=1):
            self.log(f"exit {number}", (logits.argmax(1) == labels).float().mean(), prog_bar=True)

    def configure_optimizers(self) -> Any:
        """Return the optimiser of the network and of the weights that the loss learns."""
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)


def block(channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Return a convolution with normalisation and activation."""
    layers = nn.Conv2d(channels, out_channels, 3, stride, 1), nn.BatchNorm2d(out_channels), nn.ReLU()
    return nn.Sequential(*layers)


lightning.seed_everything(0, verbose=False)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
data = TensorDataset(images, torch.tensor(digits.target))
train, test = torch.utils.data.random_split(data, [1400, len(data) - 1400])
network = nn.Sequential(block(1, 16, 1), block(16, 32, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
trainer = lightning.Trainer(max_epochs=EPOCHS, accelerator="cpu", logger=False, enable_checkpointing=False)
trainer.fit(MultiExitClassifier(network, (1, 8, 8)), DataLoader(train, 64, shuffle=True), DataLoader(test, 400))
print({name: round(value.item(), 3) for name, value in trainer.callback_metrics.items() if name.startswith("exit")})
