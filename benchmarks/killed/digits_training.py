"""Training of a small network in plain PyTorch, which three of the programs run.

Lines that exist only so that a training can be resumed end with the comment `resume`, and are counted.
"""

import hashlib
from typing import Any

import event_log
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

BATCH = 32
TRAINING_IMAGES = 1400


class Training:
    """Training with label smoothing, at the end of an epoch."""

    def __init__(self, smoothing: float, seed: int) -> None:
        """Start before the first epoch."""
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        digits: Any = load_digits()
        images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
        labels = torch.tensor(digits.target)
        self._train = images[:TRAINING_IMAGES], labels[:TRAINING_IMAGES]
        self._test = images[TRAINING_IMAGES:], labels[TRAINING_IMAGES:]
        self._network = nn.Sequential(
            *(nn.Conv2d(1, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
        )
        self._optimizer = torch.optim.SGD(self._network.parameters(), lr=0.05, momentum=0.9)
        self._smoothing, self._seed = smoothing, seed
        self.name = event_log.trial_name(smoothing, seed)
        self.epoch = 0
        event_log.write("start", self.name)

    def state(self) -> dict[str, Any]:  # resume
        """Return the content of a checkpoint."""  # resume
        parts = {"network": self._network.state_dict(), "optimizer": self._optimizer.state_dict()}  # resume
        return {"epoch": self.epoch, **parts}  # resume

    def restore(self, state: dict[str, Any]) -> None:  # resume
        """Continue after the epoch of a checkpoint."""  # resume
        self._network.load_state_dict(state["network"])  # resume
        self._optimizer.load_state_dict(state["optimizer"])  # resume
        self.epoch = state["epoch"]  # resume

    def train_epoch(self) -> None:
        """Train one epoch. The order of its images depends on seed and epoch only, so it is the same when resumed."""
        images, labels = self._train
        self._network.train()
        order = torch.Generator().manual_seed(1000 * self._seed + self.epoch)
        for batch in torch.randperm(len(images), generator=order).split(BATCH):
            loss = cross_entropy(self._network(images[batch]), labels[batch], label_smoothing=self._smoothing)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
        self.epoch += 1
        event_log.write("epoch", self.name, self.epoch)
        if self.epoch == event_log.EPOCHS:
            event_log.write("end", self.name, self.epoch)

    def result(self) -> dict[str, Any]:
        """Return the accuracy on test images in %, and a digest of the weights."""
        images, labels = self._test
        self._network.eval()
        with torch.no_grad():
            correct = (self._network(images).argmax(1) == labels).double().mean().item()
        weights = hashlib.sha256()
        for value in self._network.state_dict().values():
            weights.update(value.numpy().tobytes())
        return {"accuracy": 100 * correct, "weights": weights.hexdigest()}
