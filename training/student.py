"""The network, or the networks, that a trial trains."""

import hashlib

from ..losses import NetworkShape
from ..models import Cohort, MultiExitNetwork, build_network
from .trial import TrialSpec


def build_student(trial: TrialSpec) -> MultiExitNetwork | Cohort:
    """What the trial trains, with its first weights."""
    if trial.method.cohort:
        return Cohort([_network(trial, _member_seed(trial.seed, member)) for member in range(trial.exit_count)])
    return _network(trial, trial.seed)


def network_shape(trial: TrialSpec) -> NetworkShape:
    """What the loss needs to know of the student and its teacher."""
    return NetworkShape(
        exits=trial.exit_count,
        classes=trial.dataset_facts.classes,
        width=trial.layout.width,
        stage_channels=trial.layout.stage_channels,
        teacher_stage_channels=trial.teacher_layout.stage_channels if trial.teacher_layout else (),
    )


def _network(trial: TrialSpec, seed: int) -> MultiExitNetwork:
    facts = trial.dataset_facts
    return build_network(
        trial.architecture, trial.exits, image_shape=facts.image_shape, classes=facts.classes, seed=seed
    )


def _member_seed(seed: int, member: int) -> int:
    """A seed of its own for each network of a cohort; PyTorch's generator on the CPU reads 32 bits of it."""
    return int.from_bytes(hashlib.sha256(f"{seed} {member}".encode()).digest()[:4])
