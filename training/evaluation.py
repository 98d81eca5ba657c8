"""How good each exit and their ensemble are."""

import torch
import torch.nn.functional as F
from torch import Tensor


def exit_names(exits: int) -> list[str]:
    """What the exits are called in every record, from the shallowest on: exit1, exit2, ..., final."""
    return [f"exit{number}" for number in range(1, exits)] + ["final"]


def ensemble(logits: tuple[Tensor, ...]) -> Tensor:
    """The ensemble of the exits: the mean of their logits (N, C)."""
    return torch.stack(logits).mean(dim=0)


class Accuracies:
    """Sums over batches, kept on the device, what each exit and the ensemble got right."""

    def __init__(self, exits: int, device: torch.device) -> None:
        """Of a network with this many exits, the final one included."""
        self.names = exit_names(exits) + (["ensemble"] if exits > 1 else [])
        self._correct = torch.zeros(len(self.names), device=device)
        self._log_likelihood = torch.zeros(len(self.names), device=device)
        self._images = 0

    @torch.no_grad()
    def add(self, exit_logits: tuple[Tensor, ...], labels: Tensor) -> None:
        """Adds a batch: the logits (N, C) of each exit and the labels (N,)."""
        logits = [logits.float() for logits in exit_logits]
        if len(logits) > 1:
            logits.append(ensemble(tuple(logits)))
        stacked = torch.stack(logits)
        self._correct += (stacked.argmax(dim=2) == labels).sum(dim=1)
        chosen = F.log_softmax(stacked, dim=2).gather(2, labels.expand(len(logits), -1)[:, :, None])
        self._log_likelihood += chosen.sum(dim=(1, 2))
        self._images += len(labels)

    def summary(self, split: str) -> dict[str, float]:
        """Per exit `<split>/<exit>/top1` in percent and `<split>/<exit>/nll` in nats per image."""
        top1 = (100 * self._correct.double() / self._images).tolist()
        nll = (-self._log_likelihood.double() / self._images).tolist()
        accuracies = {f"{split}/{name}/top1": value for name, value in zip(self.names, top1, strict=True)}
        return accuracies | {f"{split}/{name}/nll": value for name, value in zip(self.names, nll, strict=True)}
