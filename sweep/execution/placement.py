"""Machines of the Ray that trials run on, and the GPUs of each trial on them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import ray
from ray._private import state
from ray.exceptions import RayActorError

from ...store import Configuration
from ..planning.resource_rules import ResourceRules
from ..planning.resources import Resources
from ..terminal.counts import counted
from .ports import answers

Node = Mapping[str, float]
"""Resources of a machine, by Ray's names."""
NODE_DIED = "node has died"
"""Part of Ray's message about an actor whose machine has failed (ray 2.60)."""
ACCELERATOR = "accelerator_type:"
"""Beginning of the names of Ray's resources for models of GPUs."""
KEYS = {"CPU": "cpu", "GPU": "gpu", "memory": "memory"}
"""Keys of the sweep file, by Ray's names of the resources."""


def nodes() -> list[Node]:
    """Return the resources of each machine of the Ray that this process is connected to."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def gpus_per_trial(
    rules: ResourceRules, configurations: Iterable[Configuration], present: list[Node], say: Callable[[str], None]
) -> dict[str, float | Literal["auto"]]:
    """Return the GPUs of a trial by the ID of its configuration.

    If the sweep file does not set them, print how the GPUs are used, if there are any.

    Raises:
        DocumentError: with file and line, if too few machines have the resources of a trial.
    """
    gpus: dict[str, float | Literal["auto"]] = {}
    uses: list[str] = []
    found: dict[str, float | Literal["auto"]] = {}
    for configuration in configurations:
        resources = rules.of(configuration)
        if resources.text not in gpus:
            gpus[resources.text] = gpu = resources.gpu_on(_gpus_on_each(resources, present))
            _require(rules, resources, 1.0 if gpu == "auto" else gpu, present)
            if resources.gpu is None:
                uses.append(_use(resources, gpu, present))
        found[configuration.id] = gpus[resources.text]
    if number := int(sum(node.get("GPU", 0) for node in present)):
        for use in dict.fromkeys(uses):
            say(f"{counted(number, 'GPU')}: {use}. To change this, set resources.gpu.")
    return found


def capacity(resources: Resources, gpu: float, present: list[Node]) -> int:
    """Return the number of trials that can run at once, each with these resources and GPUs, or this share of one."""
    (needs, *_) = resources.bundles(gpu)
    fitting = (min(int(node.get(name, 0) / need + 1e-6) for name, need in needs.items() if need) for node in present)
    return sum(fitting) // resources.nodes


def fits(needs: Mapping[str, float], node: Node) -> bool:
    """Return True if a machine has all resources that are needed on it."""
    return all(node.get(name, 0) >= need for name, need in needs.items())


def machine_failed(error: RayActorError) -> bool:
    """Return True if the machine of a dead actor has failed, although Ray may report this only some time later."""
    if NODE_DIED in str(error):
        return True
    if not error.actor_id:
        return False
    node = state.actors(error.actor_id)["Address"]["NodeID"]
    places = [f"{one['NodeManagerAddress']}:{one['NodeManagerPort']}" for one in ray.nodes() if one["NodeID"] == node]
    return not any(map(answers, places))


def _gpus_on_each(resources: Resources, present: list[Node]) -> float:
    """Return the number of GPUs on each of the machines with the most GPUs that a trial can use."""
    (needs, *_) = resources.bundles(0.0)
    gpus = sorted((node.get("GPU", 0) for node in present if fits(needs, node)), reverse=True)
    return gpus[resources.nodes - 1] if len(gpus) >= resources.nodes else 0


def _use(resources: Resources, gpu: float | Literal["auto"], present: list[Node]) -> str:
    each = f"each of a trial's {resources.members} processes"
    use = {"auto": "trials share them", 0.0: f"not used, since no machine has one for {each}"}
    without = "" if not gpu or all(node.get("GPU") for node in present) else "; machines without a GPU train no trial"
    return f"{use.get(gpu, f'one for {each}')}{without}"


def _require(rules: ResourceRules, resources: Resources, gpu: float, present: list[Node]) -> None:
    """Raise `DocumentError` if fewer machines than a trial needs have its resources."""
    (needs, *_) = resources.bundles(gpu)
    if sum(fits(needs, node) for node in present) >= resources.nodes:
        return
    if len(present) < resources.nodes:
        rule = f"a trial requires {resources.nodes} machines, but the cluster has {len(present)}"
        raise rules.error(resources, "nodes", f"{rule}; set at most {len(present)}, or add machines.")
    of = "of a trial" if resources.nodes == 1 else f"of each of a trial's {resources.nodes} machines"
    for name, need in needs.items():
        had = sorted((node.get(name, 0) for node in present), reverse=True)[resources.nodes - 1]
        if had < need:
            raise rules.error(resources, *_lacking(resources, name, need, had, present))
    listed = ", ".join(f"{name}: {need:g}" for name, need in needs.items() if need)
    problem = f"too few machines have all resources {of} at once: {listed}; remove one, or add machines."
    raise rules.error(resources, None, problem)


def _lacking(resources: Resources, name: str, need: float, had: float, present: list[Node]) -> tuple[str, str]:
    """Return the key of a resource that too few machines have, and the problem in a sentence."""
    number = resources.nodes
    largest = "the largest node has" if number == 1 else f"only {number - 1} of the nodes have more than"
    if name in ("CPU", "GPU"):
        one = "" if number == 1 else f" on each of {number} nodes"
        rule = f"a trial requires {need:g}{one}, but {largest} {had:g}; set at most {had * number:g}"
        return KEYS[name], f"{rule}."
    if name == "memory":
        rule = f"a trial requires {need / 1e9:.3g} GB, but {largest} {had / 1e9:.3g} GB; set at most that"
        return KEYS[name], f"{rule}."
    if name.startswith(ACCELERATOR):
        models = sorted({one.removeprefix(ACCELERATOR) for node in present for one in node if ACCELERATOR in one})
        there = f"the machines have {', '.join(models)}" if models else "Ray reports no model of GPU on any machine"
        rule = f"a trial requires {resources.accelerator} on {counted(number, 'machine')}, but {there}"
        return "accelerator", f"{rule}; set one of them, or remove the key."
    some = (
        f"the largest amount is {had:g}" if had else "no machine has it" if number == 1 else "too few machines have it"
    )
    start = f"start Ray with --resources='{{\"{name}\": {need:g}}}' on machines that have it"
    return "custom", f"a trial requires {name}: {need:g}, but {some}; {start}, or remove it."
