"""`gpu: auto`: as many trials on an accelerator as its memory holds.

The first trial of each network has an accelerator to itself. The peak memory of its first epoch says how many of the
others fit on one; until then they wait.
"""

from collections import defaultdict
from collections.abc import Hashable

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ...specs import SpecError
from ..planning.plan import PlannedTrial

HEAD_ROOM = 1.2
"""What a trial is given for each byte of its tensors: the allocator's gaps, and what convolutions try out."""
OVERHEAD = 2**30
"""Bytes that every process takes besides its tensors: the driver's context and its libraries."""
STEPS = 10_000
"""Ray counts resources in parts of so many."""


def packed_share(peak: float, capacity: float) -> float:
    """The share of an accelerator for trials of which as many as fit run on it at once, at least one.

    Args:
        peak: bytes of one trial's tensors at their peak.
        capacity: bytes of the accelerator.

    Returns:
        A number in (0, 1] of Ray's precision, with which no more get in than fit, and of up to 99 no fewer.
    """
    fitting = max(1, int(capacity / (HEAD_ROOM * peak + OVERHEAD)))
    steps = STEPS // fitting
    return (steps if STEPS // steps == fitting else steps + 1) / STEPS


class Packing:
    """What share of an accelerator each trial gets."""

    def __init__(self, capacity: float) -> None:
        """For accelerators with at least so many bytes."""
        self._capacity = capacity
        self._shares: dict[Hashable, float] = {}
        self._measuring: dict[Hashable, str] = {}
        self._held: defaultdict[Hashable, list[int]] = defaultdict(list)

    @property
    def holds_back(self) -> bool:
        """Whether a trial waits until another like it was measured."""
        return bool(self._held)

    def share(self, trial: PlannedTrial, position: int) -> float | None:
        """A trial's share; None while it has to wait, then `position` is given back once it has not."""
        network = _network(trial)
        if network in self._shares:
            return self._shares[network]
        if network in self._measuring:
            self._held[network].append(position)
            return None
        self._measuring[network] = trial.key
        return 1.0

    def measured(self, trial: PlannedTrial, peak: float) -> list[int]:
        """Learns a trial's peak memory in bytes; returns the positions that waited for that."""
        network = _network(trial)
        if self._measuring.get(network) != trial.key:
            return []
        del self._measuring[network]
        self._shares[network] = packed_share(peak, self._capacity)
        return self._held.pop(network, [])

    def ended(self, trial: PlannedTrial) -> list[int]:
        """If the trial ended before it was measured, another is the first; returns the positions that waited."""
        network = _network(trial)
        if self._measuring.get(network) != trial.key:
            return []
        del self._measuring[network]
        return self._held.pop(network, [])


def smallest_accelerator() -> int:
    """The bytes of the accelerator with the least memory, of all that Ray has. Asks one on each machine.

    Raises `SpecError` where a machine's accelerators are not PyTorch's.
    """
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU", 0) >= 1]
    ask = ray.remote(_memory)
    there = [NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes]
    answers = ray.get([ask.options(num_cpus=0, num_gpus=1, scheduling_strategy=each).remote() for each in there])
    if not all(answers):
        rule = "PyTorch finds no accelerator on a machine for which Ray says that it has one"
        raise SpecError(f"resources.gpu: {rule}; say a number instead of auto.", field="gpu")
    return min(answers)


def _memory() -> int:
    """Of the accelerator that this process was given, in bytes; 0 if there is none."""
    import torch  # noqa: PLC0415 (in Ray's worker)

    return torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else 0


def _network(trial: PlannedTrial) -> Hashable:
    """What a trial's need of memory depends on."""
    spec = trial.spec
    teacher = spec.teacher.architecture if spec.teacher else None
    recipe = spec.recipe
    network = (spec.dataset, spec.architecture, spec.exits, spec.method.name, spec.exit_count, teacher)
    batch = (recipe.batch_size, recipe.accumulation, recipe.precision, recipe.compile)
    return network, batch, recipe.optimizer, recipe.ema_decay > 0
