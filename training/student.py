"""Student of a trial: the network, or the cohort of networks, that it trains."""

from torch import Tensor

from ..losses import NetworkShape
from ..models import Cohort, MultiExitNetwork, architectures, build_network, exit_costs, heads, parameters
from .evaluation import exit_names
from .rng import derive_seed
from .trial import TrialSpec


def build_student(trial: TrialSpec) -> MultiExitNetwork | Cohort:
    """Build the network or cohort that the trial trains, with its initial weights."""
    if trial.method.cohort:
        return Cohort(
            [_network(trial, derive_seed(trial.seed, "member", member)) for member in range(trial.exit_count)]
        )
    return _network(trial, trial.seed)


def network_shape(trial: TrialSpec, student: MultiExitNetwork | Cohort, labels: Tensor) -> NetworkShape:
    """Return what the loss depends on: shapes of student and teacher, costs of exits, labels (images,) of training."""
    costs = leaving_costs(student, trial.dataset_facts.image_shape) if trial.method.needs_exit_costs else []
    return NetworkShape(
        exits=trial.exit_count,
        classes=trial.dataset_facts.classes,
        feature_dim=trial.layout.width,
        stage_channels=trial.layout.stage_channels,
        teacher_stage_channels=trial.teacher_layout.stage_channels if trial.teacher_layout else (),
        teacher_feature_dim=trial.teacher_layout.width if trial.teacher_layout else 0,
        exit_costs=tuple(cost / costs[-1] for cost in costs),
        image_labels=labels if trial.method.needs_image_numbers else None,
    )


def _network(trial: TrialSpec, seed: int) -> MultiExitNetwork:
    facts = trial.dataset_facts
    return build_network(
        trial.architecture, trial.exits, image_shape=facts.image_shape, classes=facts.classes, seed=seed
    )


def network_code(trial: TrialSpec) -> tuple[object, ...]:
    """Return the functions and classes that build the networks of a trial: architectures and heads."""
    teacher = () if trial.teacher is None else (architectures[trial.teacher.architecture.name],)
    return (architectures[trial.architecture.name], heads[trial.exits.head], *teacher)


def leaving_costs(student: MultiExitNetwork | Cohort, image_shape: tuple[int, int, int]) -> list[int]:
    """Return the multiply-adds (MACs) of an image that leaves at each exit, with earlier heads; none for a cohort."""
    if isinstance(student, Cohort):
        return []
    return [cost.cumulative_multiply_adds for cost in exit_costs(student, image_shape)]


def network_costs(student: MultiExitNetwork | Cohort, image_shape: tuple[int, int, int]) -> dict[str, int]:
    """Return the parameters and the multiply-adds per image of a trained network, or of each network in a cohort.

    `cost/parameters` counts all trained parameters; `cost/<exit>/...` describes the network truncated at that exit.
    """
    networks = student.networks if isinstance(student, Cohort) else [student]
    costs = [cost for network in networks for cost in exit_costs(network, image_shape)]  # type: ignore[arg-type]
    record = {"cost/parameters": parameters(student)}
    for name, cost in zip(exit_names(len(costs)), costs, strict=True):
        record[f"cost/{name}/parameters"] = cost.parameters
        record[f"cost/{name}/multiply_adds"] = cost.multiply_adds
    return record
