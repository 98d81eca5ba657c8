from shlex import join

import typer

from ...specs import SpecError
from ._options import Plugins, Storage, app


@app.command()
def migrate(storage: Storage = "runs", plugin: Plugins = None) -> None:
    """Convert a storage of Exeunt 0.1.0. No trial is trained again.

    Trials get new keys, and each sweep gets its plan as data.
    `exeunt sweep FILE` does the same for its own trials.
    A sweep with plugins needs them as --plugin: this command runs no code from the storage.

    Exit status: 0 all is converted; 1 some trials or sweeps are not.
    """
    from ...store import SWEEP_FILE, Store, kept_plugins
    from ...store.migration import migrate_trials
    from ...training.plugins import read_plugins
    from ..planning.load import plan_of
    from ..terminal.counts import counted

    store = Store(storage)
    given = {one.sha256: one for one in read_plugins(plugin or ())}
    trials = list(migrate_trials(store))
    problems = [f"trial {one.old}: {one.problem}" for one in trials if one.problem]
    sweeps: list[str] = []
    for name in store.sweeps():
        directory = store.sweep_directory(name)
        if store.has_plan(name):
            continue
        needed = kept_plugins(directory)
        if missing := [one.name for one in needed if one.sha256 not in given]:
            problems.append(
                f"sweep {name}: give the same --plugin {' --plugin '.join(missing)} as when it was launched"
            )
            continue
        try:
            with directory.local(SWEEP_FILE) as file:
                store.save_sweep(plan_of(file, store, needed))
            sweeps.append(name)
        except SpecError as error:
            problems.append(f"sweep {name}: {error}")
    converted = counted(sum(not one.problem for one in trials), "trial")
    typer.echo(f"{store.location}: {converted} and {counted(len(sweeps), 'sweep')} converted")
    for name in sweeps:
        typer.echo(f"To update MLflow: {join(['exeunt', 'sync', name, '--storage', store.location])}")
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(1)
