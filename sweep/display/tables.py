"""The comparison table of a sweep: shown, and kept as CSV and LaTeX."""

from rich.console import Console

from ...results import comparison, load, render, to_rich
from ..planning.plan import Plan
from ..storage.store import Store
from ..storage.tracking import Mirror

FILES = {"csv": "table.csv", "latex": "table.tex"}


def publish(plan: Plan, store: Store, tracking_uri: str, console: Console) -> None:
    """Brings MLflow up to date, shows the table that follows from it, and says where it is kept."""
    Mirror(plan, store, tracking_uri).update_all()
    table = comparison(load(tracking_uri, plan.sweep.name))
    console.print()
    if console.is_terminal:
        console.print(to_rich(table))
    else:
        console.out(render(table, "text"), highlight=False)
    folder = store.sweep_folder(plan.sweep.name)
    for form, name in FILES.items():
        folder.write(name, render(table, form).encode())
        console.print(f"{form + ':':7}{folder.located(name)}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"MLflow: {tracking_uri}", markup=False, highlight=False, soft_wrap=True)
