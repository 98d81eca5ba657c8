"""Training regimes: the order in which the backbone and the exits of a network are trained.

    joint       everything from the first step, from random weights
    mixed       everything from the first step; the backbone starts with the weights of the trained baseline
    disjoint    the exits only: the backbone keeps the weights of the trained baseline
    branchwise  one exit after the other, each with the part of the backbone since the previous exit, for an equal share
                of the epochs; the backbone starts with the weights of the trained baseline

Under `disjoint` and `branchwise`, what is not trained is frozen, with its running statistics. Under `branchwise`, no
gradient flows back from the exits behind the trained one, and the learning rate runs through its whole schedule for
each exit.

Source: Kubaty et al. 2024, "How to train your multi-exit model?", arXiv 2407.14320, for the first three.
"""

import io

import torch
from torch import nn

from ..models import MultiExitNetwork
from ..specs import SpecError
from .trial import Regime, TrialSpec


def load_backbone(network: nn.Module, content: bytes) -> None:
    """Load the weights of a plain network, from the content of its weights file, into the backbone of a network."""
    assert isinstance(network, MultiExitNetwork)
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    network.trunk.load_state_dict({name.removeprefix("trunk."): value for name, value in state.items()})


def check_regime(trial: TrialSpec, network: nn.Module, *, processes: int) -> None:
    """Raise `SpecError` if a network cannot be trained as regime or gradient equilibrium of a trial require."""
    if not isinstance(network, MultiExitNetwork):
        return
    if trial.exits.gradient_equilibrium and network.trunk.undivided:
        problem = f"gradient_equilibrium needs a network that can be divided: {network.trunk.undivided}; leave it out"
        raise SpecError(f"{problem}.", field="gradient_equilibrium")
    if trial.regime != "branchwise":
        return
    exits, epochs = len(network.exit_blocks), trial.recipe.epochs
    problem = ""
    if epochs < exits:
        problem = f"needs an epoch for each exit, but there are {exits} exits and {epochs} epochs; train longer"
    elif processes > 1:
        problem = f"trains in one process, but got {processes} processes; set resources.processes to 1"
    elif network.trunk.undivided:
        problem = f"needs a network that can be divided: {network.trunk.undivided}; use disjoint or mixed"
    if problem:
        raise SpecError(f"regime branchwise {problem}.", field="regime")


class RegimeSchedule:
    """Parts that are trained in each epoch, and the learning rate's position in its schedule."""

    def __init__(self, regime: Regime, network: nn.Module, epochs: int) -> None:
        """Freeze what is never trained."""
        self._regime = regime
        self._network = network
        self._epochs = epochs
        if isinstance(network, MultiExitNetwork) and regime == "disjoint":
            network.trunk.requires_grad_(False)

    def start_epoch(self, epoch: int) -> None:
        """Set a network in training mode up for an epoch, from 0: freeze what is not trained."""
        network = self._network
        if not isinstance(network, MultiExitNetwork):
            return
        if self._regime == "disjoint":
            network.trunk.eval()
        elif self._regime == "branchwise":
            number = self._branch(epoch)
            network.isolated_exit = number
            network.requires_grad_(False).eval()
            for module in network.part(number):
                module.requires_grad_(True).train()

    def scheduled_step(self, step: int, steps_per_epoch: int) -> int:
        """Return the step of the recipe's schedule that a training step has, both counted from 0 over all epochs."""
        if self._regime != "branchwise":
            return step
        number = self._branch(step // steps_per_epoch)
        first, last = (self._first_epoch(branch) * steps_per_epoch for branch in (number, number + 1))
        return (step - first) * self._epochs * steps_per_epoch // (last - first)

    @property
    def _exits(self) -> int:
        assert isinstance(self._network, MultiExitNetwork)
        return len(self._network.exit_blocks)

    def _branch(self, epoch: int) -> int:
        """Return the number of the exit, from 1, that is trained in an epoch."""
        return epoch * self._exits // self._epochs + 1

    def _first_epoch(self, branch: int) -> int:
        return -(-(branch - 1) * self._epochs // self._exits)
