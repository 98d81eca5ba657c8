from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...specs import SpecError, masked
from ._options import Storage, SweepName, Tracking, app, tracking_uri, warn

if TYPE_CHECKING:
    import pandas as pd

    from ...store import Directory, Plan, Store

Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Output file (default: sweeps/NAME/report.html in the storage)", show_default=False
    ),
]
Watch = Annotated[
    bool, typer.Option("--watch", help="Local page that is updated until the sweep is over or Ctrl-C is pressed")
]
Every = Annotated[
    float, typer.Option(metavar="SECONDS", min=1, help="Minimum time between two updates of the page with --watch")
]


@app.command()
def report(
    name: SweepName,
    storage: Storage = "runs",
    tracking: Tracking = None,
    out: Out = None,
    watch: Watch = False,
    every: Every = 10,
) -> None:
    """Write a report of a sweep as one self-contained HTML file: summary, tables, figures, trials.

    With --watch, the file is written again whenever an epoch or a trial was recorded, and a page on this machine shows
    it. This ends with the sweep.
    """
    from ...store import LocalDirectory, Store
    from ..terminal.steps import shown_steps
    from ._exit import INTERRUPTED

    if out is not None and out.is_dir():
        raise SpecError(f"--out {out} is a directory; give the path of a file.", field="out")
    store = Store(storage)
    store.plan(name)
    writer = _ReportWriter(
        name=name,
        store=store,
        storage=storage,
        tracking=tracking,
        uri=tracking_uri(store, tracking),
        folder=store.sweep_directory(name) if out is None else LocalDirectory(out.parent),
        file="report.html" if out is None else out.name,
    )
    with shown_steps() as step:
        if watch and writer.is_running():
            try:
                _watch(writer, every, step)
            except KeyboardInterrupt:
                raise typer.Exit(INTERRUPTED) from None
        else:
            step("Reading MLflow runs")
            writer.write(*writer.read(), step)
    typer.echo(f"{name}: report written to {writer.folder.located(writer.file)}")


@dataclass(frozen=True, kw_only=True)
class _ReportWriter:
    """Reader of the records of a sweep, and writer of its report."""

    name: str
    store: "Store"
    storage: str
    """Storage as given on the command line."""
    tracking: str | None
    """Tracking URI as given on the command line."""
    uri: str
    folder: "Directory"
    file: str

    def is_running(self) -> bool:
        """Return True if a process runs the sweep."""
        from ...store import lease_owner

        return lease_owner(self.store.sweep_directory(self.name)) is not None

    def read(self) -> "tuple[Plan, pd.DataFrame]":
        """Return the current plan and the recorded trials."""
        from ..recorded import load_planned

        plan = self.store.plan(self.name)
        return plan, load_planned(plan, self.store, self.uri, warn)

    def write(self, plan: "Plan", frame: "pd.DataFrame", step: Callable[[str], object]) -> str:
        """Write the report, and return it."""
        from ...results import history
        from ...results.report import Origin, experiment_url, report

        where = ["--storage", masked(self.storage)]
        where += ["--tracking", masked(self.tracking)] if self.tracking else []
        origin = Origin(
            storage=masked(self.storage),
            file=masked(plan.text),
            planned=len(plan.trials) + sum(number for _, number in plan.coming),
            commands=_commands(self.name, where, is_search=plan.command == "search"),
            tracking=masked(self.tracking or ""),
            experiment=experiment_url(self.uri, self.name),
            margins=plan.margins,
            costs=_costs(plan, self.store),
        )
        page = report(frame, history(self.uri, self.name), origin, step)
        self.folder.write(self.file, page.encode())
        return page


def _watch(writer: _ReportWriter, every: float, step: Callable[[str], object]) -> None:
    """Write and serve the report until the sweep has ended."""
    import time

    from ...results.report.server import served

    shown, page = None, ""
    with served(f"{writer.name}: no trial is recorded yet.") as server:
        typer.echo(f"{writer.name}: report at {server.address}")
        while True:
            is_running = writer.is_running()  # before reading: what is recorded until the end is in the last report
            try:
                plan, frame = writer.read()
            except SpecError:  # nothing is recorded yet
                if not is_running:
                    raise
            else:
                if is_new := shown is None or not frame.equals(shown):
                    shown, page = frame, writer.write(plan, frame, step)
                if is_new or not is_running:
                    server.show(page, ended=not is_running)
            if not is_running:
                server.wait_for_browsers()
                return
            step(f"Waiting for new results; report at {server.address}")
            time.sleep(every)


def _costs(plan: "Plan", store: "Store") -> tuple[str, ...]:
    """Return the sentences about the caps and the price of a sweep."""
    from ..cost_ledger import cost_lines, read_ledgers, units_shown
    from ..planning.plan import missing

    limits = store.caps(plan.name)
    ledgers = read_ledgers(plan, store, units_shown(limits, plan.price))
    return tuple(cost_lines(limits, plan.price, ledgers, missing(plan, store))) if ledgers else ()


def _commands(name: str, where: list[str], *, is_search: bool) -> tuple[str, ...]:
    """Return the commands that reproduce the sweep and its results from its file."""
    from shlex import join

    words = [
        ["search" if is_search else "sweep", f"{name}.yaml"],
        ["table", name],
        ["figures", name],
        ["report", name],
    ]
    return tuple(join(["exeunt", *command, *where]) for command in words)
