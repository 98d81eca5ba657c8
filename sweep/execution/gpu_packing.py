"""Packing of trials onto GPUs (`gpu: auto`): as many trials per GPU as fit in its memory.

The first trial of each network has a GPU to itself. The peak memory of its first epoch determines how many of the
others share a GPU; until then they wait.
"""

from collections import defaultdict

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ...specs import SpecError
from ...store import PlannedTrial

HEAD_ROOM = 1.2
"""Reserved bytes per byte of a trial's tensors, for fragmentation and the workspaces of convolution algorithms."""
OVERHEAD = 2**30
"""Bytes that every process needs besides its tensors: CUDA context and libraries."""
STEPS = 10_000
"""Smallest parts per unit of a Ray resource."""


def packed_share(peak: float, capacity: float) -> float:
    """Return the share of a GPU per trial with which as many trials run at once as fit, at least one.

    Args:
        peak: peak memory of one trial's tensors, in bytes.
        capacity: memory of the GPU, in bytes.

    Returns:
        A number in (0, 1] at Ray's resolution. It never admits more trials than fit; up to 99 trials, it admits exactly
        as many as fit.
    """
    fitting = max(1, int(capacity / (HEAD_ROOM * peak + OVERHEAD)))
    steps = STEPS // fitting
    return (steps if STEPS // steps == fitting else steps + 1) / STEPS


class Packing:
    """Shares of a GPU by network, measured on the first trial of each network."""

    def __init__(self, capacity: float) -> None:
        """Create a packing for GPUs with at least `capacity` bytes of memory."""
        self._capacity = capacity
        self._shares: dict[str, float] = {}
        self._measuring: dict[str, str] = {}
        self._held: defaultdict[str, list[int]] = defaultdict(list)

    @property
    def holds_back(self) -> bool:
        """True if a trial waits for the measurement of its network."""
        return bool(self._held)

    def share(self, trial: PlannedTrial, position: int) -> float | None:
        """Return a trial's share, or None if it has to wait; `measured` or `ended` returns its `position` later."""
        network = trial.configuration.memory_group
        if network in self._shares:
            return self._shares[network]
        if network in self._measuring:
            self._held[network].append(position)
            return None
        self._measuring[network] = trial.key
        return 1.0

    def measured(self, trial: PlannedTrial, peak: float) -> list[int]:
        """Record a trial's peak memory in bytes; return the positions that waited for it."""
        network = trial.configuration.memory_group
        if self._measuring.get(network) != trial.key:
            return []
        del self._measuring[network]
        self._shares[network] = packed_share(peak, self._capacity)
        return self._held.pop(network, [])

    def ended(self, trial: PlannedTrial) -> list[int]:
        """Return the positions that waited for a trial that ended unmeasured; the next trial is measured instead."""
        network = trial.configuration.memory_group
        if self._measuring.get(network) != trial.key:
            return []
        del self._measuring[network]
        return self._held.pop(network, [])


def smallest_accelerator() -> int:
    """Return the memory of the smallest GPU of the cluster in bytes, queried on one GPU of each node.

    Raises:
        SpecError: if Ray reports a GPU on a node, but PyTorch finds none there.
    """
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU", 0) >= 1]
    ask = ray.remote(_memory)
    there = [NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes]
    answers = ray.get([ask.options(num_cpus=0, num_gpus=1, scheduling_strategy=each).remote() for each in there])
    if not all(answers):
        rule = "'auto' reads the GPU memory, but PyTorch finds no GPU on a node where Ray reports one"
        raise SpecError(f"resources.gpu: {rule}; set a number instead of auto.", field="gpu")
    return min(answers)


def _memory() -> int:
    """Return the memory of this process's GPU in bytes; 0 if there is none."""
    import torch  # noqa: PLC0415 (in Ray's worker)

    return torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else 0
