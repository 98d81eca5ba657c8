"""Functions and classes of `import exeunt`: plan, run and open a sweep, and use its tables and networks."""

from typing import TYPE_CHECKING

from ..specs.lazy import lazy_exports

if TYPE_CHECKING:
    from .plan import PlannedSweep, plan
    from .sweep import StoredSweep, open, run
    from .table import ResultTable
    from .trial import LoadedTrial

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "PlannedSweep": ".plan",
        "StoredSweep": ".sweep",
        "ResultTable": ".table",
        "LoadedTrial": ".trial",
        "open": ".sweep",
        "plan": ".plan",
        "run": ".sweep",
    },
)

__all__ = ["LoadedTrial", "PlannedSweep", "ResultTable", "StoredSweep", "open", "plan", "run"]
