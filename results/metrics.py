from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What one recorded number means and how it is written."""

    name: str
    """As recorded, e.g. `test/final/top1`."""
    title: str
    """In words, e.g. `test top-1 accuracy of the final exit`."""
    unit: str = ""
    """`%`, or empty where the number has no unit that we know."""
    digits: int = 4
    """Decimals shown; two values that print alike count as equal."""
    best: Literal["highest", "lowest"] | None = None
    """Which value wins a row; None, and nothing wins, for a metric that we do not know."""

    @property
    def difference_unit(self) -> str:
        """The unit of a difference between two values, in words."""
        return "percentage points" if self.unit == "%" else "the metric's own unit"

    def best_of(self, values: Sequence[float]) -> float | None:
        """Return the value that wins; None if there is no value, or nothing to win."""
        match self.best:
            case "highest":
                return max(values, default=None)
            case "lowest":
                return min(values, default=None)
            case None:
                return None


def describe(name: str) -> Metric:
    """Say what `SPLIT/MEASURE` or `SPLIT/EXIT/MEASURE` is; an unknown metric keeps its bare name."""
    match name.split("/"):
        case [split, *exits, "top1" | "top5" as measure]:
            title = f"{split} top-{measure.removeprefix('top')} accuracy{_of(exits)}"
            return Metric(name=name, title=title, unit="%", digits=2, best="highest")
        case [split, *exits, "loss"]:
            return Metric(name=name, title=f"{split} loss{_of(exits)}", best="lowest")
        case _:
            return Metric(name=name, title=name)


def _of(exits: Sequence[str]) -> str:
    in_words = {"final": "the final exit", "ensemble": "the ensemble of exits"}
    return "".join(f" of {in_words.get(name, name.replace('exit', 'exit '))}" for name in exits)
