"""The plan of a sweep file, with or without a search."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...store import Plugin, Store
from ...training.plugins import import_warnings
from .plan import SweepPlan, make_plan
from .sweep_file import read_sweep


def plan_of(file: Path, store: Store, plugins: Sequence[Plugin], overrides: Sequence[str] = ()) -> SweepPlan:
    """Return the plan of a sweep file with these plugins and values, such as `recipe.epochs=5`, in place of its own.

    The studies of a search are read from the store.
    """
    sweep = read_sweep(file, plugins, overrides)
    sweep = replace(sweep, warnings=(*sweep.warnings, *import_warnings()))
    if sweep.search is None:
        return make_plan(sweep)
    from ..search import search_plan  # noqa: PLC0415 (Optuna takes a while to load, and most sweeps have no search)

    return search_plan(sweep, store)
