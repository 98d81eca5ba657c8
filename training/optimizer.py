"""Optimiser step, with gradient clipping and weight averaging."""

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim.swa_utils import get_ema_multi_avg_fn

from .nonfinite import NonFiniteDetector
from .optimizers import Groups, optimizers
from .recipe import Recipe


class OptimizerStep:
    """Weight update with the settings of a recipe, skipped from the first value that is not finite."""

    def __init__(self, recipe: Recipe, network: nn.Module, loss: nn.Module) -> None:
        """Create the optimiser for the parameters of a network and its loss."""
        self._recipe = recipe
        self._network = network
        self._weights = [weight for weight in (*network.parameters(), *loss.parameters()) if weight.requires_grad]
        self._is_fused = optimizers[recipe.optimizer].fused
        self._gradients: dict[nn.Parameter, Tensor] = {}
        self._optimizer = _optimizer(recipe, self._weights)
        self._rate = self._optimizer.param_groups[0]["lr"] if self._is_fused else None
        self.average = WeightAverage(network, recipe.ema_decay) if recipe.ema_decay else None

    @torch.no_grad()
    def hold_gradients(self) -> None:
        """Move the gradients of a step's first part to tensors that stay the same in all steps.

        Those of further parts are added to them. A weight that the loss does not use has no gradient, so no weight
        decay either.
        """
        new = {weight: weight.grad for weight in self._weights if weight.grad is not None}
        for weight in new.keys() - self._gradients.keys():
            self._gradients[weight] = torch.empty_like(new[weight])
        kept = [self._gradients[weight] for weight in new]
        torch._foreach_copy_(kept, list(new.values()))  # type: ignore[reportPrivateImportUsage]
        for weight in new:
            weight.grad = self._gradients[weight]

    def step(self, learning_rate: float, names: tuple[str, ...], terms: Tensor, watch: NonFiniteDetector) -> Tensor:
        """Update the weights, unless the gradients or the loss terms are not finite.

        Args:
            learning_rate: learning rate of the step.
            names: names of the n loss terms.
            terms: loss terms (n,).
            watch: detector of values that are not finite.

        Returns:
            Values (n + 1,): the loss terms and the norm of the gradient of all weights, before clipping.

        Raises:
            TrainingDiverged: if `watch` detects a step that was not finite.
        """
        norm = get_total_norm([weight.grad for weight in self._weights if weight.grad is not None])
        values = torch.cat([terms, norm[None]])
        watch.look((*names, "norm of the gradient"), values)
        if self._recipe.gradient_clip:
            clip_grads_with_norm_(self._weights, self._recipe.gradient_clip, norm)
        if self._rate is not None:
            self._rate.fill_(learning_rate)
            self._optimizer.found_inf = watch.broken  # type: ignore[attr-defined] (fused ones then change nothing)
            self._optimizer.step()
        elif not bool(watch.broken):  # waits for the device
            for group in self._optimizer.param_groups:
                group["lr"] = learning_rate
            self._optimizer.step()
        self._optimizer.zero_grad()
        if self.average is not None:
            self.average.update()
        return values

    def state_dict(self) -> dict[str, Any]:
        """Return the state that the next step depends on, besides weights and recipe."""
        return {
            "optimizer": self._optimizer.state_dict(),
            "average": self.average.network.state_dict() if self.average else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from the result of `state_dict`."""
        self._optimizer.load_state_dict(state["optimizer"])
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate
        if self.average is not None:
            self.average.network.load_state_dict(state["average"])


class WeightAverage:
    """Exponential moving average of a network's weights and running statistics."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Start with a copy of the network."""
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._blend = get_ema_multi_avg_fn(decay)
        pairs = list(zip(self.network.state_dict().values(), network.state_dict().values(), strict=True))
        self._averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Update the average with the network's new weights."""
        self._blend([old for old, _ in self._averaged], [new for _, new in self._averaged], 0)

    @torch.no_grad()
    def copy_counters(self) -> None:
        """Copy the network's counters of steps."""
        for old, new in self._counters:
            old.copy_(new)


def _optimizer(recipe: Recipe, weights: list[nn.Parameter]) -> torch.optim.Optimizer:
    # Biases and the weights of normalisation have one dimension, all others two or more.
    decayed = [weight for weight in weights if recipe.decay_norms or weight.dim() > 1]
    spared = [weight for weight in weights if not recipe.decay_norms and weight.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": spared, "weight_decay": 0.0}]
    return optimizers[recipe.optimizer].build([group for group in groups if group["params"]], recipe)


def fused_sgd(groups: Groups, recipe: Recipe) -> torch.optim.Optimizer:
    """Build PyTorch's fused SGD."""
    momentum, nesterov = recipe.momentum, recipe.nesterov
    return _eager(_SGD)(groups, lr=_rate(groups), momentum=momentum, nesterov=nesterov, fused=True)


class _SGD(torch.optim.SGD):
    """SGD whose fused kernel also takes weights that get their first gradient after others (it does not, torch 2.13).

    A loss's own weights are trained from the first step, those of a later branch are not (`regime: branchwise`).
    """

    def _init_group(self, group: Any, params: Any, grads: Any, momentum_buffer_list: list[Tensor | None]) -> bool:
        is_sparse = super()._init_group(group, params, grads, momentum_buffer_list)
        if any(momentum is not None for momentum in momentum_buffer_list):
            momentum_buffer_list[:] = [
                torch.zeros_like(weight) if momentum is None else momentum
                for weight, momentum in zip(params, momentum_buffer_list, strict=True)
            ]
        return is_sparse


def fused_adamw(groups: Groups, recipe: Recipe) -> torch.optim.Optimizer:
    """Build PyTorch's fused AdamW."""
    del recipe
    rate = _rate(groups)
    return _eager(torch.optim.AdamW)(groups, lr=rate, fused=True, capturable=rate.is_cuda)


def _rate(groups: Groups) -> Tensor:
    """Return a tensor for the learning rate on the device of the parameters."""
    device = groups[0]["params"][0].device
    # The kernels of a GPU read float32 from its memory; those of a CPU read a number.
    return torch.zeros((), device=device, dtype=torch.float64 if device.type == "cpu" else torch.float32)


@functools.cache
def _eager(optimizer: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """Return the optimiser class without its `torch.compile` guards, whose first use imports the compiler.

    The import takes 1.5 s and 80 MB in each training process (torch 2.13).
    """
    kept_out = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
    methods = {name: inspect.unwrap(getattr(optimizer, name)) for name in kept_out}
    methods["step"] = torch.no_grad()(inspect.unwrap(optimizer.step))
    return type(optimizer.__name__, (optimizer,), methods)
