"""Which trials are stopped before their last epoch because others do better."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from ...specs import Count, Range, Spec

Rule = Literal["asha", "median", "hyperband"]


@dataclass(frozen=True, kw_only=True)
class Stopping(Spec):
    """By which rule a sweep stops trials early.

    `asha`: Li et al. 2020, arXiv 1810.05934. `hyperband`: Li et al. 2018, arXiv 1603.06560. `median`: Golovin et al.
    2017, "Google Vizier", section 3.2.1: a trial whose best so far is below the median of the others' averages.
    """

    rule: Rule
    grace: Count = 10
    """Epochs before which nothing is stopped."""
    factor: Annotated[int, Range(minimum=2)] = 3
    """At each rung, one trial in so many goes on; only of `asha` and `hyperband`."""
    metric: ClassVar[str] = "validation/final/top1"
    """What it judges by, in the records of epochs: of the final exit, in percent; never the test set."""

    def inactive_fields(self) -> frozenset[str]:
        """What the median has no use for."""
        return frozenset({"factor"}) if self.rule == "median" else frozenset()
