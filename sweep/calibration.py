"""Thresholds of early exits for a trained trial, from the images that it has held out for validation."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from ..models import calibrate_to_accuracy, calibrate_to_budget, criteria, exit_costs
from ..models.early_exit.calibration import OperatingPoint
from ..specs import SpecError, require
from ..store import EARLY_EXIT_FILE, Record, digest
from ..training import DataSource
from ..training.batches import EvaluationBatches
from ..training.data import split_validation
from ..training.data.split import SPLIT_SEED
from ..training.distributed import ProcessGroup
from .trained import TrainedTrial


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Thresholds of early exits, with their cost and accuracy on the validation images."""

    criterion: str
    """Name of the exit criterion."""
    thresholds: tuple[float | None, ...]
    """Threshold of each exit except the final one; None if no image leaves there."""
    images: int
    """Number of validation images."""
    accuracy: float
    """Share of the validation images whose top class is correct, from 0 to 1."""
    cost: float
    """Mean multiply-adds (MACs) per validation image, as a share of those of the final exit."""
    shares: tuple[float, ...]
    """Share of the validation images that leave at each exit."""

    def __str__(self) -> str:
        at = ", ".join("never" if threshold is None else f"{threshold:.4g}" for threshold in self.thresholds)
        measured = f"{self.accuracy:.1%} correct at {self.cost:.1%} of the multiply-adds (MACs)"
        return f"{self.criterion} with thresholds {at}: {measured} on {self.images} validation images"


def calibrate(
    trained: TrainedTrial,
    source: DataSource,
    *,
    budget: float | None = None,
    accuracy: float | None = None,
    criterion: str = "max_probability",
) -> Calibration:
    """Choose thresholds of early exits on the validation images of a trial. Test images are not evaluated.

    Args:
        trained: Trial with exits that has held out validation images.
        source: Location of the images.
        budget: Maximum mean multiply-adds (MACs) per image, as a share of those of the final exit, above 0, at most 1;
            the most accurate thresholds within it are chosen.
        accuracy: Minimum accuracy, from 0 to 1; the cheapest thresholds that reach it are chosen.
        criterion: Name of the exit criterion.

    Raises:
        SpecError: unless exactly one of budget and accuracy is given and can be reached; for an unknown criterion; for
            a trial without exits or without validation images; or if images are missing.
    """
    if (budget is None) == (accuracy is None):
        given = f"budget={budget} and accuracy={accuracy}"
        raise SpecError(f"give either a budget or an accuracy, but got {given}.", field="budget")
    if budget is not None:
        require(0 < budget <= 1, "0 < budget <= 1, a share of the final exit's multiply-adds", budget=budget)
    if accuracy is not None:
        require(0 <= accuracy <= 1, "0 <= accuracy <= 1", accuracy=accuracy)
    criteria.check(criterion)
    logits, labels = validation_logits(trained, source)
    costs = [float(cost.cumulative_multiply_adds) for cost in exit_costs(trained.network, _shape(trained))]
    relative = [cost / costs[-1] for cost in costs]
    point = (
        calibrate_to_budget(logits, labels, relative, budget, criterion)
        if budget is not None
        else calibrate_to_accuracy(logits, labels, relative, accuracy or 0.0, criterion)
    )
    return _calibration(point, len(labels))


def keep(trained: TrainedTrial, calibration: Calibration) -> str:
    """Write thresholds to the trial's directory in the store, and return the path of the file."""
    trained.files.write_early_exit(record_of(trained, calibration))
    return trained.files.directory.located(EARLY_EXIT_FILE)


def record_of(trained: TrainedTrial, calibration: Calibration) -> Record:
    """Return the content of the file with the thresholds of a trial."""
    measured = {name: value for name, value in asdict(calibration).items() if name not in ("criterion", "thresholds")}
    return {
        "weights": digest(trained.files.weights() or b""),
        "criterion": calibration.criterion,
        "thresholds": calibration.thresholds,
        "validation": measured,
    }


def kept(trained: TrainedTrial) -> Calibration | None:
    """Return the thresholds in the trial's directory; None without any, or if they belong to other weights."""
    record = trained.files.early_exit()
    if record is None or record["weights"] != digest(trained.files.weights() or b""):
        return None
    measured = record["validation"]
    return Calibration(
        criterion=record["criterion"],
        thresholds=tuple(record["thresholds"]),
        images=measured["images"],
        accuracy=measured["accuracy"],
        cost=measured["cost"],
        shares=tuple(measured["shares"]),
    )


@torch.inference_mode()
def validation_logits(trained: TrainedTrial, source: DataSource) -> tuple[Tensor, Tensor]:
    """Return the logits (exits, images, classes) and labels (images,) of the images that a trial has held out.

    Raises:
        SpecError: if the trial has no auxiliary exits or no validation images, or if images are missing.
    """
    trial, network = trained.spec, trained.network
    if not network.exit_blocks[:-1]:
        rule = f"trial {trained.key} ({trial.method.name}) has only the final exit, so no image can leave early"
        raise SpecError(f"{rule}; choose a trial with exits.", field="method")
    if not trial.validation:
        rule = f"trial {trained.key} has held out no validation images, and thresholds must not be chosen on others"
        raise SpecError(
            f"{rule}. Set `validation: 0.1` in a sweep file without a search and run it.", field="validation"
        )
    facts = trial.dataset_facts
    _, held_out = split_validation(facts.load(source)[0], fraction=trial.validation, seed=SPLIT_SEED)
    batches = list(EvaluationBatches(held_out, facts, torch.device("cpu"), ProcessGroup()))
    logits = [torch.stack([one.float() for one in network(inputs).logits]) for inputs, _ in batches]
    return torch.cat(logits, dim=1), torch.cat([labels for _, labels in batches])


def _shape(trained: TrainedTrial) -> tuple[int, int, int]:
    return trained.spec.dataset_facts.image_shape


def _calibration(point: OperatingPoint, images: int) -> Calibration:
    return Calibration(
        criterion=point.criterion,
        thresholds=point.thresholds,
        images=images,
        accuracy=point.accuracy,
        cost=point.cost,
        shares=point.shares,
    )
