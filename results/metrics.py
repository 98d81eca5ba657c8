from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Best = Literal["highest", "lowest"]
"""Direction of better values."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Description and format of a recorded metric."""

    name: str
    """Recorded name, e.g. `test/final/top1`."""
    title: str
    """Name in words, e.g. `test top-1 accuracy of the final exit`."""
    unit: str = ""
    """Unit in words, or `%`; empty for a dimensionless metric."""
    digits: int = 4
    """Number of decimals; two values that are equal after rounding count as equal."""
    best: Best | None = None
    """Direction of better values; None if no value is best, as for an unknown metric."""

    @property
    def difference_unit(self) -> str:
        """Unit of a difference between two values, in words."""
        return "percentage points" if self.unit == "%" else self.unit or "units of the metric"

    def quantity(self, size: float) -> str:
        """Return the size of a difference with its unit: `1 percentage point`, `0.5 percentage points`."""
        unit = self.difference_unit
        return f"{size:g} {unit.removesuffix('s') if size == 1 and self.unit == '%' else unit}"

    def best_of(self, values: Sequence[float]) -> float | None:
        """Return the best value; None without values, or if no value is best."""
        match self.best:
            case "highest":
                return max(values, default=None)
            case "lowest":
                return min(values, default=None)
            case None:
                return None


_MEASURES = {
    "top1": Metric(name="top1", title="top-1 accuracy", unit="%", digits=2, best="highest"),
    "top5": Metric(name="top5", title="top-5 accuracy", unit="%", digits=2, best="highest"),
    "nll": Metric(name="nll", title="negative log-likelihood per image", unit="nats", best="lowest"),
    "ece": Metric(name="ece", title="expected calibration error", best="lowest"),  # between 0 and 1
}
"""Metrics of each exit on each split."""

_COSTS = {
    "parameters": Metric(name="parameters", title="parameters", digits=0, best="lowest"),
    "multiply_adds": Metric(name="multiply_adds", title="multiply-adds per image", digits=0, best="lowest"),
}
"""Costs of the network truncated at each exit."""

_OF_A_TRIAL = {
    metric.name: metric
    for metric in (
        # Neither high nor low values of these two are better.
        Metric(name="train/gradient_norm", title="gradient norm, mean over the last epoch"),
        Metric(name="train/learning_rate", title="learning rate of the last step", digits=6),
        Metric(name="cost/parameters", title="trained parameters, including exits", digits=0, best="lowest"),
        Metric(
            name="images_per_second",
            title="training throughput in the last epoch",
            unit="images/s",
            digits=0,
            best="highest",
        ),
        Metric(name="peak_memory_bytes", title="peak memory in the last epoch", unit="bytes", digits=0, best="lowest"),
        Metric(name="joules", title="energy of the last epoch", unit="joules", digits=0, best="lowest"),
        Metric(name="seconds", title="training time of the last epoch", unit="seconds", digits=2, best="lowest"),
        Metric(
            name="device_seconds",
            title="training time of the last epoch, times devices",
            unit="device-seconds",
            digits=2,
            best="lowest",
        ),
    )
}

_SPLITS = {
    "train": ("training", " in the last epoch"),
    "validation": ("validation", ""),
    "test": ("test", ""),
    "test_by_epoch": ("test", " after the last epoch"),
}
"""Images in words, and the epoch if it may differ from the reported one."""


def describe(name: str) -> Metric:
    """Return the description of a recorded metric; an unknown metric keeps its recorded name as title.

    Known metrics of each exit (`exit1`, ..., `final`, and the `ensemble`) are `SPLIT/EXIT/top1`, `top5`, `nll` and
    `ece` with the splits train, validation, test and test_by_epoch, and `cost/EXIT/parameters` and `multiply_adds`.
    Known metrics of a trial are the terms of the loss, `train/loss/TERM`, and its cost, speed, memory and energy.
    """
    if name in _OF_A_TRIAL:
        return _OF_A_TRIAL[name]
    match name.split("/"):
        case ["train", "loss", term]:  # methods weight their terms differently, so no value is best
            return Metric(name=name, title=f"training loss, {term.replace('_', ' ')} term")
        case ["cost", exit, cost] if cost in _COSTS:
            return replace(_COSTS[cost], name=name, title=f"{_COSTS[cost].title} of the network up to {_words(exit)}")
        case [split, exit, measure] if split in _SPLITS and measure in _MEASURES:
            images, epoch = _SPLITS[split]
            title = f"{images} {_MEASURES[measure].title} of {_words(exit)}{epoch}"
            return replace(_MEASURES[measure], name=name, title=title)
        case _:
            return Metric(name=name, title=name)


def _words(exit: str) -> str:
    in_words = {"final": "the final exit", "ensemble": "the ensemble of exits"}
    return in_words.get(exit, exit.replace("exit", "exit "))
