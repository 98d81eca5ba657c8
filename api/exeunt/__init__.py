"""Benchmark sweeps for exit-ensemble distillation, from Python.

>>> import exeunt
>>> print(exeunt.plan("sweep.yaml"))
>>> sweep = exeunt.run("sweep.yaml", storage="runs")
>>> sweep.table("main").to_latex()
>>> trial = sweep.load("resnet18", "eed", seed=0)
>>> early = trial.early_exit(trial.calibrate(budget=0.7))

Nothing but the standard library is imported until a name of this package is read.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
# In a checkout, the sub-packages are not beside this file.

import importlib
from typing import TYPE_CHECKING, Any

from .specs.lazy import lazy_exports

if TYPE_CHECKING:
    from . import api, losses, models, results, specs, store, sweep, training
    from .api import LoadedTrial, PlannedSweep, ResultTable, StoredSweep, open, plan, run
    from .models import attach_exits, build_network
    from .specs import SpecError
    from .specs.version import __version__

_PACKAGES = ("api", "losses", "models", "results", "specs", "store", "sweep", "training")
_EXPORTS = {
    "PlannedSweep": ".api",
    "SpecError": ".specs",
    "StoredSweep": ".api",
    "ResultTable": ".api",
    "LoadedTrial": ".api",
    "__version__": ".specs.version",
    "attach_exits": ".models",
    "build_network": ".models",
    "open": ".api",
    "plan": ".api",
    "run": ".api",
}

if not TYPE_CHECKING:  # so that a type checker reports unknown names
    _export, _names = lazy_exports(__name__, _EXPORTS)

    def __getattr__(name: str) -> Any:
        if name in _PACKAGES:
            return importlib.import_module(f".{name}", __name__)
        return _export(name)

    def __dir__() -> list[str]:
        return sorted({*_names(), *_PACKAGES})


__all__ = [
    "LoadedTrial",
    "PlannedSweep",
    "ResultTable",
    "SpecError",
    "StoredSweep",
    "__version__",
    "api",
    "attach_exits",
    "build_network",
    "losses",
    "models",
    "open",
    "plan",
    "results",
    "run",
    "specs",
    "store",
    "sweep",
    "training",
]
