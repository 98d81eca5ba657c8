"""Packing of trials onto GPUs (`gpu: auto`): as many trials per GPU as its memory and its time allow.

Before the first trial starts, each network is probed: a few steps of it are trained on a GPU without other trials.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ...specs import SpecError, masked, one_line
from ...store import PlannedTrial, Plugin, Record
from ...training import DataSource
from ..planning.resource_rules import ResourceRules
from ..terminal.counts import counted
from .placement import fits

HEAD_ROOM = 1.2
"""Reserved bytes per measured byte, for fragmentation and for the evaluation, which is not measured."""
STEPS = 10_000
"""Smallest parts per unit of a Ray resource."""
ANSWER_TIMEOUT_S = 300.0
"""Time limit for the next answer of a probe, with the wait for a GPU that is not in use."""

Place = NodeAffinitySchedulingStrategy | Literal["DEFAULT"]
"""Machine of a probe, or any."""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Needs of a trial, measured on a GPU that no other trial uses."""

    memory: int
    """Memory of the process on the GPU, in bytes."""
    capacity: int
    """Memory of the GPU that was free before the process started, in bytes."""
    busy: float
    """Share of the time in which kernels run on the GPU, from 0 to 1."""
    most: int
    """Maximum number of trials that may share the GPU, at least 1."""


def trials_per_gpu(footprint: Footprint, capacity: float) -> int:
    """Return the number of equal trials that are to share a GPU, at least one.

    They fit into its memory, and one fewer would leave it idle for a part of the time. More would only be slower each.

    Args:
        footprint: needs of one of them.
        capacity: free memory of the GPU, in bytes.
    """
    fitting = int(capacity / (HEAD_ROOM * footprint.memory))
    useful = math.ceil(1 / max(footprint.busy, 1 / footprint.most))
    return max(1, min(fitting, useful, footprint.most))


def share_for(trials: int) -> float:
    """Return the share of a GPU with which this number of trials run at once: from 1 to 99, at Ray's resolution."""
    return STEPS // trials / STEPS


@dataclass(frozen=True, kw_only=True)
class GpuShares:
    """Number of GPUs of a trial, or its share of one, by its network."""

    by_network: Mapping[str, float]
    """Share by network."""
    default: float
    """Share of other trials, such as those that a search adds."""

    def of(self, trial: PlannedTrial) -> float:
        """Return the number of a trial's GPUs, or its share of one."""
        return self.by_network.get(trial.configuration.memory_group, self.default)

    @property
    def least(self) -> float:
        """Smallest number or share."""
        return min(self.by_network.values(), default=self.default)


def shares_from(footprints: Mapping[str, Footprint]) -> GpuShares:
    """Return the shares from the footprint of each network, on the GPU with the least free memory.

    A trial of a network without a footprint gets the largest share.
    """
    capacity = min(footprint.capacity for footprint in footprints.values())
    shares = {network: share_for(trials_per_gpu(footprint, capacity)) for network, footprint in footprints.items()}
    return GpuShares(by_network=shares, default=max(shares.values()))


def probed(
    trials: Iterable[PlannedTrial],
    *,
    plugins: tuple[Plugin, ...],
    source: DataSource,
    resources: ResourceRules,
    wait_for: Callable[[str], None],
    say: Callable[[str], None],
) -> GpuShares:
    """Probe one trial of each network, each in a process with a whole GPU; at least one probe runs on every node.

    Args:
        trials: trials of the sweep, at least one.
        plugins: plugins of the sweep.
        source: of the training images.
        resources: resources of each trial.
        wait_for: function that is called with the name of what is waited for.
        say: function that is called with lines about the shares, and about networks whose probe failed.

    Raises:
        SpecError: if no probe was successful.
    """
    by_network = {trial.configuration.memory_group: trial for trial in trials}
    waiting = _started(by_network, plugins, source, resources)
    found: dict[str, Footprint] = {}
    problems: dict[str, str] = {}
    while waiting:
        wait_for(f"{counted(len(waiting), 'probe')} of networks, each on a GPU without other trials")
        answers, _ = ray.wait(list(waiting), timeout=ANSWER_TIMEOUT_S)
        if not answers:
            problems |= dict.fromkeys(waiting.values(), f"no GPU was free for {ANSWER_TIMEOUT_S:g} s")
            for answer in waiting:
                ray.cancel(answer, force=True)
            break
        network = waiting.pop(answers[0])
        try:
            footprint = ray.get(answers[0])
            if network not in found or footprint.memory > found[network].memory:
                found[network] = footprint
        except RayError as error:
            reason = str(getattr(error, "cause", None) or error).strip().partition("\n")[0]
            problems[network] = masked(one_line(reason)).rstrip(".")
    if not found:
        rule = f"no network could be measured on a GPU: {next(iter(problems.values()))}"
        raise SpecError(f"resources.gpu: {rule}. Set the number of GPUs of a trial, or 0 for the CPU.", field="gpu")
    for network in problems.keys() - found.keys():
        say(f"{by_network[network]}: not measured, so it gets the largest share of a GPU: {problems[network]}")
    shares = shares_from(found)
    measured = counted(len(found), "network")
    share = f"{shares.least:g}" if shares.least == shares.default else f"{shares.least:g} to {shares.default:g}"
    say(f"Each trial gets {share} of a GPU, after a probe of {measured}.")
    return shares


def _started(
    trials: Mapping[str, PlannedTrial], plugins: tuple[Plugin, ...], source: DataSource, rules: ResourceRules
) -> dict["ray.ObjectRef[Footprint]", str]:
    """Start a probe of each trial, and one on each machine that can run any. Return the networks by the answers."""
    resources = {network: rules.of(trial.configuration) for network, trial in trials.items()}
    places: list[tuple[str, Place]] = []
    waiting = list(trials)
    for node in (node for node in ray.nodes() if node["Alive"]):
        able = [name for name in (*waiting, *trials) if fits(resources[name].bundles(1.0)[0], node["Resources"])]
        if able:
            places.append((able[0], NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)))
            waiting = [network for network in waiting if network != able[0]]
    anywhere: list[tuple[str, Place]] = [(network, "DEFAULT") for network in waiting]
    answers: dict[ray.ObjectRef[Footprint], str] = {}
    for network, place in (*places, *anywhere):
        wanted = resources[network]
        task = ray.remote(num_cpus=wanted.cores, num_gpus=1, max_calls=1, max_retries=0)(probe_in_worker).options(
            memory=wanted.memory,
            accelerator_type=wanted.accelerator,
            resources=wanted.custom,
            scheduling_strategy=place,
        )
        answers[task.remote(trials[network].located_spec, plugins, source, wanted.cores)] = network
    return answers


def probe_in_worker(spec: Record, plugins: tuple[Plugin, ...], source: DataSource, threads: int) -> Footprint:
    """Probe a trial in a Ray worker with a GPU.

    Raises:
        SpecError: if PyTorch finds no GPU.
    """
    import torch  # noqa: PLC0415 (in Ray's worker; the driver needs no PyTorch)

    from ...training import TrialSpec  # noqa: PLC0415
    from ...training.plugins import use  # noqa: PLC0415
    from .gpu_probe import probe  # noqa: PLC0415

    if not torch.cuda.is_available():
        raise SpecError("PyTorch finds no GPU on a machine where Ray reports one.", field="gpu")
    use(plugins)
    return probe(TrialSpec.from_dict(spec), source, torch.device("cuda"), threads=threads)
