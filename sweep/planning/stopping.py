"""Early stopping of trials that are worse than other trials of the sweep."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from ...specs import Count, Range, Spec

Rule = Literal["asha", "median", "hyperband"]


@dataclass(frozen=True, kw_only=True)
class Stopping(Spec):
    """Rule by which a sweep stops trials early.

    `asha`: Li et al. 2020, arXiv 1810.05934. `hyperband`: Li et al. 2018, arXiv 1603.06560. `median`: Golovin et al.
    2017, "Google Vizier", section 3.2.1; it stops a trial whose best value is below the median of the averages of the
    other trials.
    """

    rule: Rule
    grace: Count = 10
    """Number of epochs before the rule can stop a trial."""
    factor: Annotated[int, Range(minimum=2)] = 3
    """Reduction factor: at each rung, one trial in `factor` continues. Used by `asha` and `hyperband` only."""
    metric: ClassVar[str] = "validation/final/top1"
    """Metric that the rule compares: top-1 accuracy of the final exit on validation images, in percent."""

    def inactive_fields(self) -> frozenset[str]:
        """Return the fields that the `median` rule does not use."""
        return frozenset({"factor"}) if self.rule == "median" else frozenset()
