"""Check before the first trial that the energy of the device is measured."""

from collections.abc import Iterable

import ray

from ...specs import SpecError
from ..planning.resources import Resources


def require_energy(limit: float, needs: Iterable[tuple[Resources, float]]) -> None:
    """Raise `SpecError` if a Ray worker cannot measure the energy of its device.

    Args:
        limit: Cap in joules, for the message.
        needs: Resources of the trials, with the GPUs of a trial or its share of one; 0 for the CPU.
    """
    check = ray.remote(max_calls=1, max_retries=0)(_energy_problem)
    for resources, gpu in needs:
        each = {"num_cpus": resources.cores // resources.nodes, "num_gpus": gpu / resources.nodes}
        task = check.options(**each, accelerator_type=resources.accelerator, resources=resources.custom)
        if problem := ray.get(task.remote("cuda" if gpu else "cpu")):
            rule = f"the energy cannot be measured: {problem}"
            raise SpecError(f"--max-joules {limit:g}: {rule}. Use --max-device-hours instead.", field="max_joules")


def _energy_problem(device: str) -> str:
    """Return the reason why the energy of a device is not measured; empty if it is."""
    import torch  # noqa: PLC0415 (in Ray's worker; the driver needs no PyTorch)

    from ...training.resource_usage import ResourceUsage  # noqa: PLC0415

    return ResourceUsage(torch.device(device)).energy_problem
