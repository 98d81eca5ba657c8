"""The network, or the networks, that a trial trains."""

from ..losses import NetworkShape
from ..models import Cohort, MultiExitNetwork, build_network, exit_costs, parameters
from .evaluation import exit_names
from .rng import derive_seed
from .trial import TrialSpec


def build_student(trial: TrialSpec) -> MultiExitNetwork | Cohort:
    """What the trial trains, with its first weights."""
    if trial.method.cohort:
        return Cohort(
            [_network(trial, derive_seed(trial.seed, "member", member)) for member in range(trial.exit_count)]
        )
    return _network(trial, trial.seed)


def network_shape(trial: TrialSpec) -> NetworkShape:
    """What the loss needs to know of the student and its teacher."""
    return NetworkShape(
        exits=trial.exit_count,
        classes=trial.dataset_facts.classes,
        feature_dim=trial.layout.width,
        stage_channels=trial.layout.stage_channels,
        teacher_stage_channels=trial.teacher_layout.stage_channels if trial.teacher_layout else (),
    )


def _network(trial: TrialSpec, seed: int) -> MultiExitNetwork:
    facts = trial.dataset_facts
    return build_network(
        trial.architecture, trial.exits, image_shape=facts.image_shape, classes=facts.classes, seed=seed
    )


def leaving_costs(student: MultiExitNetwork | Cohort, image_shape: tuple[int, int, int]) -> list[int]:
    """The multiply-adds of an image that leaves at each exit, the heads before it included; of a cohort, none."""
    if isinstance(student, Cohort):
        return []
    return [cost.cumulative_multiply_adds for cost in exit_costs(student, image_shape)]


def network_costs(student: MultiExitNetwork | Cohort, image_shape: tuple[int, int, int]) -> dict[str, int]:
    """Of a trained network, or of each in a cohort: parameters, and the multiply-adds of one image.

    `cost/parameters` counts all that is trained; `cost/<exit>/...` is the network truncated at that exit.
    """
    networks = student.networks if isinstance(student, Cohort) else [student]
    costs = [cost for network in networks for cost in exit_costs(network, image_shape)]  # type: ignore[arg-type]
    record = {"cost/parameters": parameters(student)}
    for name, cost in zip(exit_names(len(costs)), costs, strict=True):
        record[f"cost/{name}/parameters"] = cost.parameters
        record[f"cost/{name}/multiply_adds"] = cost.multiply_adds
    return record
