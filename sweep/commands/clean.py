import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ...specs import SpecError
from ._options import Storage, app

if TYPE_CHECKING:
    from ...store import Plan, Store

Yes = Annotated[bool, typer.Option("--yes", help="Removal without confirmation")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List of removable files only, without removal")]


@app.command()
def clean(storage: Storage = "runs", yes: Yes = False, dry_run: DryRun = False) -> None:
    """Remove unused files: trials of no sweep, old checkpoints, damaged and incomplete files."""
    from ...store import Store
    from ..clean import find_removable
    from ..terminal.clean import rubbish_table, total
    from ..terminal.console import TerminalConsole

    store, console = Store(storage), TerminalConsole()
    found = list(find_removable(store, _plans(store)))
    if not found:
        console.print(f"nothing to remove in {store.location}", markup=False, highlight=False, soft_wrap=True)
        return
    console.print(rubbish_table(found, store.location))
    if dry_run:
        return
    if not yes:
        if not sys.stdin.isatty():
            rule = "the confirmation needs a terminal; add --yes to remove without it, or --dry-run to list only"
            raise SpecError(f"exeunt clean: {rule}.", field="yes")
        if not typer.confirm(f"Remove {total(found)}?"):
            return
    # Search again, because a sweep may have started since.
    still = {str(removable) for removable in find_removable(store, _plans(store))}
    removed = [removable for removable in found if str(removable) in still]
    for removable in removed:
        removable.remove()
    typer.echo(f"removed: {total(removed)}")


def _plans(store: "Store") -> "list[Plan]":
    plans = []
    for name in store.sweeps():
        try:
            plans.append(store.plan(name))
        except SpecError as error:
            rule = f"without the plan of sweep {name!r}, its trials cannot be distinguished from orphans"
            raise SpecError(f"{rule}: {error}") from error
    return plans
