"""Thresholds of early exits for a trained trial, from the images that it has held out for validation."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import accumulate

import torch
from torch import Tensor

from ..models import (
    RiskGuarantee,
    calibrate_to_accuracy,
    calibrate_to_budget,
    control_risk,
    criteria,
    exit_costs,
    exit_latencies,
    fit_temperatures,
    scaled,
)
from ..models.early_exit.calibration import OperatingPoint, evaluate
from ..specs import SpecError, require
from ..store import EARLY_EXIT_FILE, Record, digest
from ..training import DataSource
from ..training.batches import EvaluationBatches
from ..training.data import split_validation
from ..training.data.split import SPLIT_SEED
from ..training.distributed import ProcessGroup
from .trained import TrainedTrial

CONFIDENCE = 0.9
"""Default confidence of a risk guarantee."""
MEASURED = ("images", "accuracy", "cost", "shares", "risk")
"""Fields of a calibration that were measured on the validation images with the chosen thresholds."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Target of a calibration: exactly one of budget, latency_ms, accuracy and risk."""

    budget: float | None = None
    """Maximum mean multiply-adds (MACs) per image, as a share of those of the final exit, above 0, at most 1."""
    latency_ms: float | None = None
    """Maximum mean time per image in milliseconds, with the times of the exits measured on the CPU at batch size 1."""
    accuracy: float | None = None
    """Minimum accuracy on the validation images, from 0 to 1."""
    risk: float | None = None
    """Maximum risk, between 0 and 1: share of images that early exits make wrong, but the final exit would not."""
    confidence: float | None = None
    """Probability with which the risk is guaranteed, between 0 and 1; only with risk. Default: 0.9."""

    def __post_init__(self) -> None:
        """Check that exactly one target is given, and its range."""
        targets = {name: value for name, value in asdict(self).items() if name != "confidence"}
        given = [f"{name}={value}" for name, value in targets.items() if value is not None]
        if len(given) != 1:
            got = " and ".join(given) or "none of them"
            raise SpecError(f"give one of {', '.join(targets)}, but got {got}.", field="budget")
        if self.budget is not None:
            require(
                0 < self.budget <= 1, "0 < budget <= 1, a share of the final exit's multiply-adds", budget=self.budget
            )
        if self.latency_ms is not None:
            require(self.latency_ms > 0, "latency_ms > 0", latency_ms=self.latency_ms)
        if self.accuracy is not None:
            require(0 <= self.accuracy <= 1, "0 <= accuracy <= 1", accuracy=self.accuracy)
        if self.risk is not None:
            object.__setattr__(self, "confidence", CONFIDENCE if self.confidence is None else self.confidence)
        elif self.confidence is not None:
            raise SpecError(f"confidence={self.confidence} needs a risk.", field="confidence")


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Thresholds and temperatures of early exits, with their cost and accuracy on the validation images."""

    target: Target
    """Target for which the thresholds were chosen."""
    criterion: str
    """Name of the exit criterion."""
    thresholds: tuple[float | None, ...]
    """Threshold of each exit except the final one; None if no image leaves there."""
    temperatures: tuple[float, ...]
    """Softmax temperature of each exit; logits are divided by it before the criterion."""
    images: int
    """Number of validation images."""
    accuracy: float
    """Share of the validation images whose top class is correct, from 0 to 1."""
    cost: float
    """Mean multiply-adds (MACs) per validation image, as a share of those of the final exit."""
    shares: tuple[float, ...]
    """Share of the validation images that leave at each exit."""
    risk: float
    """Share of the validation images that early exits make wrong, but the final exit would not."""
    latencies_ms: tuple[float, ...] | None = None
    """Measured milliseconds until an image leaves at each exit; None without a target in milliseconds."""
    guarantee: RiskGuarantee | None = None
    """Guarantee of the risk; None without a target for the risk."""

    @property
    def latency_ms(self) -> float | None:
        """Mean milliseconds per validation image; None without a target in milliseconds."""
        if self.latencies_ms is None:
            return None
        return sum(share * time for share, time in zip(self.shares, self.latencies_ms, strict=True))

    def __str__(self) -> str:
        at = ", ".join("never" if threshold is None else f"{threshold:.4g}" for threshold in self.thresholds)
        time = "" if self.latency_ms is None else f", {self.latency_ms:.3g} ms per image"
        measured = f"{self.accuracy:.1%} correct at {self.cost:.1%} of the multiply-adds (MACs){time}"
        found = f"{self.criterion} with thresholds {at}: {measured} on {self.images} validation images"
        return found if self.guarantee is None else f"{found}\n{_sentence(self.guarantee)}"


def calibrate(
    trained: TrainedTrial, source: DataSource, target: Target, *, criterion: str = "max_probability"
) -> Calibration:
    """Choose temperatures and thresholds of early exits on the validation images of a trial, and on no others.

    For a budget or a latency, the most accurate thresholds within it are chosen; for an accuracy or a risk, the
    cheapest. For a risk, half of the images choose temperatures and candidates; the other half test the candidates.

    Args:
        trained: Trial with exits that has held out validation images.
        source: Location of the images.
        target: Budget, latency, accuracy or risk.
        criterion: Name of the exit criterion.

    Raises:
        SpecError: if the target cannot be reached or the risk cannot be guaranteed; for an unknown criterion; for a
            trial without exits or without validation images; or if images are missing.
    """
    criteria.check(criterion)
    logits, labels = validation_logits(trained, source)
    fitting, testing = _parts(len(labels), target)
    temperatures = fit_temperatures(logits[:, fitting], labels[fitting])
    logits = scaled(logits, temperatures)
    costs = [float(cost.cumulative_multiply_adds) for cost in exit_costs(trained.network, _shape(trained))]
    costs = [cost / costs[-1] for cost in costs]
    latencies_ms = None if target.latency_ms is None else _latencies_ms(trained, target.latency_ms)
    parts = [(logits[:, rows], labels[rows]) for rows in (fitting, testing)]
    point, guarantee = _chosen(target, parts, costs, latencies_ms, criterion)
    found = evaluate(logits, labels, costs, criterion, point.thresholds)
    return Calibration(
        target=target,
        criterion=criterion,
        thresholds=point.thresholds,
        temperatures=temperatures,
        images=len(labels),
        accuracy=found.accuracy,
        cost=found.cost,
        shares=found.shares,
        risk=found.risk,
        latencies_ms=latencies_ms,
        guarantee=guarantee,
    )


def keep(trained: TrainedTrial, calibration: Calibration) -> str:
    """Write thresholds to the trial's directory in the store, and return the path of the file."""
    trained.files.write_early_exit(record_of(trained, calibration))
    return trained.files.directory.located(EARLY_EXIT_FILE)


def record_of(trained: TrainedTrial, calibration: Calibration) -> Record:
    """Return the content of the file with the thresholds of a trial."""
    record = asdict(calibration)
    measured = {name: record.pop(name) for name in MEASURED}
    return {"weights": digest(trained.files.weights() or b""), **record, "validation": measured}


def kept(trained: TrainedTrial) -> Calibration | None:
    """Return the thresholds in the trial's directory; None without any, or if they belong to other weights."""
    record = trained.files.early_exit()
    if record is None or record["weights"] != digest(trained.files.weights() or b""):
        return None
    measured, latencies_ms, guarantee = record["validation"], record["latencies_ms"], record["guarantee"]
    return Calibration(
        target=Target(**{field.name: record["target"][field.name] for field in fields(Target)}),
        criterion=record["criterion"],
        thresholds=tuple(record["thresholds"]),
        temperatures=tuple(record["temperatures"]),
        images=measured["images"],
        accuracy=measured["accuracy"],
        cost=measured["cost"],
        shares=tuple(measured["shares"]),
        risk=measured["risk"],
        latencies_ms=None if latencies_ms is None else tuple(latencies_ms),
        guarantee=guarantee and RiskGuarantee(**{field.name: guarantee[field.name] for field in fields(RiskGuarantee)}),
    )


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
    logits, labels = [], []
    for inputs, truth in EvaluationBatches(held_out, facts, torch.device("cpu"), ProcessGroup()):
        with torch.inference_mode():  # only here: the threads that read images do not have this mode
            logits.append(torch.stack([one.float() for one in network(inputs).logits]))
        labels.append(truth)
    return torch.cat(logits, dim=1), torch.cat(labels)


def _shape(trained: TrainedTrial) -> tuple[int, int, int]:
    return trained.spec.dataset_facts.image_shape


def _parts(images: int, target: Target) -> tuple[Tensor, Tensor]:
    """Return the numbers of the images that fit temperatures and candidates, and of those that choose thresholds.

    They are two random halves for a risk, whose guarantee needs images that have chosen nothing before; otherwise both
    are all images.
    """
    if target.risk is None:
        return torch.arange(images), torch.arange(images)
    order = torch.randperm(images, generator=torch.Generator().manual_seed(SPLIT_SEED))
    return order[: images // 2], order[images // 2 :]


def _chosen(
    target: Target,
    parts: Sequence[tuple[Tensor, Tensor]],
    costs: Sequence[float],
    latencies_ms: Sequence[float] | None,
    criterion: str,
) -> tuple[OperatingPoint, RiskGuarantee | None]:
    """Return the thresholds for a target, from the logits and labels of both parts, with the guarantee of a risk."""
    fitting, testing = parts
    if target.risk is not None and target.confidence is not None:
        level = {"risk": target.risk, "confidence": target.confidence}
        return control_risk(fitting, testing, costs, **level, criterion=criterion)
    if target.latency_ms is not None and latencies_ms is not None:
        return calibrate_to_budget(*testing, latencies_ms, target.latency_ms, criterion), None
    if target.budget is not None:
        return calibrate_to_budget(*testing, costs, target.budget, criterion), None
    return calibrate_to_accuracy(*testing, costs, target.accuracy or 0.0, criterion), None


def _latencies_ms(trained: TrainedTrial, maximum: float) -> tuple[float, ...]:
    """Measure the milliseconds until an image leaves at each exit, on the CPU; they do not decrease."""
    seconds = exit_latencies(trained.network, _shape(trained), cumulative=True)
    found = tuple(accumulate((1000 * value for value in seconds), max))
    require(maximum >= found[0], f"latency_ms >= {found[0]:.3g}, the time to the first exit", latency_ms=maximum)
    return found


def _sentence(guarantee: RiskGuarantee) -> str:
    limit = f"at most {100 * guarantee.risk:g}% of all images are correct at the final exit and wrong at their own exit"
    counted = f"{guarantee.errors} of {guarantee.images} tested images, {guarantee.allowed} allowed"
    return f"guaranteed with confidence {guarantee.confidence:g}: {limit} ({counted})"
