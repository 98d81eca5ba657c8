"""Constraints of a search: bounds of the costs and of the validation metrics of its trials."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from ...specs import SpecError, nearest
from ...training import TrialSpec
from .yaml_document import Document, Place

COST = "cost/"
"""Prefix of the recorded costs, which are known before a trial is trained."""
COSTS = ("multiply_adds", "parameters")
MEASURES = ("top1", "top5", "nll", "ece")
SUFFIXES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "%": 0.01}
SAMPLERS = ("tpe", "gp", "nsga2")
"""Samplers that use constraints; Optuna's other samplers ignore them."""
_COMPARISON = re.compile(r"(?P<sign><=|>=)\s*(?P<number>\d+(\.\d*)?(e[+-]?\d+)?)\s*(?P<suffix>[kMG%]?)")
_EXIT = re.compile(r"final|ensemble|exit[1-9]\d*")


@dataclass(frozen=True, kw_only=True)
class SearchConstraint:
    """Bound of a recorded metric, which the best settings of a search satisfy."""

    name: str
    """Name of the metric in the file, such as `exit1/multiply_adds`."""
    comparison: str
    """Comparison in the file, such as `<= 50%`."""
    metric: str
    """Name of the metric in the records of a trial, such as `cost/exit1/multiply_adds`."""
    is_upper: bool
    """True for an upper bound (`<=`), False for a lower one (`>=`)."""
    bound: float
    """Bound of the metric, or of its share of `whole`."""
    whole: str | None
    """Recorded cost of the final exit, for a percentage; None for a bound in units of the metric."""

    def __str__(self) -> str:
        return f"{self.name} {self.comparison}"

    @property
    def is_cost(self) -> bool:
        """True if the metric is known before a trial is trained."""
        return self.metric.startswith(COST)

    @property
    def exit(self) -> str:
        """Exit of the metric: `final`, `ensemble` or `exit1`, ...; `final` for all parameters of a trial."""
        return next((part for part in self.metric.split("/") if _EXIT.fullmatch(part)), "final")

    def applies_to(self, trial: TrialSpec) -> bool:
        """Return True if a trial has the exit of the metric."""
        if self.exit in ("final", "ensemble"):
            return self.exit == "final" or trial.exit_count > 1
        return int(self.exit.removeprefix("exit")) < trial.exit_count

    def violation(self, trial: TrialSpec, metrics: Sequence[Mapping[str, float]]) -> float:
        """Return the relative distance of the mean to the bound, positive beyond it; 0 if the trial lacks the exit.

        Args:
            trial: one of the trials.
            metrics: recorded metrics of each trial; they have equal settings.

        Raises:
            KeyError: if a metric is missing or NaN.
        """
        if not self.applies_to(trial):
            return 0.0
        value = _mean(metrics, self.metric) / (_mean(metrics, self.whole) if self.whole else 1)
        excess = (value - self.bound) / (self.bound or 1)
        return excess if self.is_upper else -excess


def _mean(metrics: Sequence[Mapping[str, float]], name: str) -> float:
    mean = fmean(one[name] for one in metrics)
    if math.isnan(mean):
        raise KeyError(name)
    return mean


def read_constraints(written: Mapping[str, Any], sampler: str, document: Document) -> tuple[SearchConstraint, ...]:
    """Return the constraints of a search.

    Args:
        written: comparison of each metric, by its name.
        sampler: sampler of the search.
        document: the file.

    Raises:
        DocumentError: for the first mistake, with its place.
    """
    if written and sampler not in SAMPLERS:
        problem = f"{sampler} ignores constraints; use {', '.join(SAMPLERS[:-1])} or {SAMPLERS[-1]}"
        raise document.error(("search", "sampler"), f"{problem}, or remove `constraints`.")
    constraints: list[SearchConstraint] = []
    for name, comparison in written.items():
        place: Place = ("search", "constraints", name)
        try:
            constraints.append(_constraint(name, comparison))
        except SpecError as error:
            raise document.error(place, str(error)) from error
    return tuple(constraints)


def check_constraints(constraints: Iterable[SearchConstraint], trials: Iterable[TrialSpec], document: Document) -> None:
    """Raise `DocumentError` for a constraint that applies to none of these trials."""
    trials = list(trials)
    for constraint in constraints:
        if not any(map(constraint.applies_to, trials)):
            problem = f"no method of the search has {constraint.exit}; choose an exit of one of them, such as final."
            raise document.error(("search", "constraints", constraint.name), problem)


def _constraint(name: str, comparison: object) -> SearchConstraint:
    metric = _metric(name)
    found = _COMPARISON.fullmatch(comparison.strip()) if isinstance(comparison, str) else None
    if found is None:
        rule = 'a constraint is a comparison by <= or >=, such as "<= 50%", "<= 300M" or ">= 0.05"'
        raise SpecError(f"{rule}, but got {comparison!r}.")
    whole = None
    if found["suffix"] == "%":
        whole = f"{COST}final/{metric.rpartition('/')[2]}"
        if not metric.startswith(COST):
            raise SpecError(f"a percentage is a share of the final exit's cost, but {name} is no cost; remove the %.")
        if metric == whole:
            raise SpecError(f"a percentage is a share of {name} itself, which is always 100%; write a number.")
    return SearchConstraint(
        name=name,
        comparison=" ".join((found["sign"], found["number"] + found["suffix"])),
        metric=metric,
        is_upper=found["sign"] == "<=",
        bound=float(found["number"]) * SUFFIXES[found["suffix"]],
        whole=whole,
    )


def _metric(name: str) -> str:
    """Return the recorded name of a metric. Raises `SpecError` if a search cannot constrain it."""
    short = name.removeprefix(COST)
    *exit, measure = short.split("/")
    if (short == "parameters" or (len(exit) == 1 and _EXIT.fullmatch(exit[0]) and exit[0] != "ensemble")) and (
        measure in COSTS
    ):
        return COST + short
    if len(exit) == 2 and exit[0] == "validation" and _EXIT.fullmatch(exit[1]) and measure in MEASURES:
        return name
    if name.startswith("test"):
        raise SpecError(f"a search does not read the test set; write validation{name[name.find('/') :]} instead.")
    exits = ("final", "exit1", "exit2", "exit3")
    known = ["parameters", *(f"{one}/{cost}" for one in exits for cost in COSTS)]
    known += [f"validation/{one}/{measure}" for one in (*exits, "ensemble") for measure in MEASURES]
    raise SpecError(f"unknown metric {name!r}; {nearest(name, known)}.")
