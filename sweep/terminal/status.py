"""Status of a sweep on the terminal: printed once, or refreshed until the sweep is over."""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from ...store import State
from ..failure import failure_command
from ..status import ActiveTrial, StatusReader, SweepStatus
from .counts import counted
from .grid import Grid
from .progress import duration

ALWAYS: tuple[State, ...] = ("done", "running", "waiting", "failed")
IF_ANY: tuple[State, ...] = ("pruned", "diverged")
REFRESH_INTERVAL_S = 2.0
"""Seconds between two reads of the store."""
LATEST_PROBLEMS = 5
"""Number of failures on the screen while the sweep is watched."""


def situation(sweep: SweepStatus) -> Group:
    """Return counts by method, the trials that have started, and the reason of each trial that failed."""
    return Group(*_heading(sweep), _by_method(sweep), *_begun(sweep), *_problems(sweep))


def watch(observer: StatusReader, console: Console) -> None:
    """Show the status until the sweep is over: redrawn in place on a terminal, otherwise a line for each change."""
    if not console.is_terminal:
        line = None
        while True:
            sweep = observer.read()
            if (now := _counts(sweep)) != line:
                console.print(f"{time.strftime('%H:%M:%S')} {now}", soft_wrap=True, highlight=False)
                line = now
            if sweep.is_over:
                return
            time.sleep(REFRESH_INTERVAL_S)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            sweep = observer.read()
            latest = list(_problems(sweep))[-LATEST_PROBLEMS:]
            live.update(Group(*_heading(sweep), *_begun(sweep), *latest), refresh=True)
            if sweep.is_over:
                return
            time.sleep(REFRESH_INTERVAL_S)


def _heading(sweep: SweepStatus) -> Iterator[Text]:
    trials = counted(len(sweep.plan.trials), "trial")
    yield Text(f"{sweep.plan.name}: {trials} in {sweep.location}", overflow="fold")
    if sweep.driver is not None:
        since = datetime.fromtimestamp(sweep.driver["since"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        yield Text(f"Running as process {sweep.driver['pid']} on {sweep.driver['host']} since {since}")
    elif not sweep.is_over:
        command = sweep.plan.command
        yield Text(f"Not running. Resume with: exeunt {command} FILE")
    left = "" if sweep.seconds_left is None or sweep.is_over else f"; about {duration(sweep.seconds_left)} left"
    yield Text(_counts(sweep) + left)
    yield from map(Text, sweep.costs)


def _counts(sweep: SweepStatus) -> str:
    names: dict[State, str] = {} if sweep.driver else {"running": "started"}
    counts = sweep.counts
    shown: list[State] = [*ALWAYS, *(state for state in IF_ANY if counts[state])]
    return ", ".join(f"{counts[state]} {names.get(state, state)}" for state in shown)


def _by_method(sweep: SweepStatus) -> Grid:
    counts: dict[tuple[str, str], Counter[State]] = {}
    for trial in sweep.plan.trials:
        method = trial.configuration.method + (f" ({trial.role})" if trial.role in ("teacher", "backbone") else "")
        row = counts.setdefault((trial.configuration.architecture, method), Counter())
        row[sweep.progress[trial.key].state] += 1
    total = sweep.counts
    shown: list[State] = [state for state in (*ALWAYS, *IF_ANY) if total[state]]
    table = _table("architecture", "method")
    for heading in ("trials", *shown):
        table.add_column(heading, justify="right")
    for names, count in counts.items():
        table.add_row(*names, str(count.total()), *(str(count[state] or "-") for state in shown))
    return table


def _begun(sweep: SweepStatus) -> Iterator[Grid]:
    if not sweep.active:
        return
    table = _table("running" if sweep.driver else "started")
    table.add_column("epoch", justify="right", no_wrap=True)
    table.add_column("top-1, %", justify="right", no_wrap=True)
    table.add_column("last write")
    for one in sweep.active:
        accuracy = "-" if one.accuracy is None else f"{one.accuracy:.2f} {one.images}"
        epochs = f"{one.epoch} of {one.trial.configuration.epochs}"
        table.add_row(str(one.trial), epochs, accuracy, _last_wrote(one), style="yellow" if one.is_quiet else "")
    yield table


def _last_wrote(one: ActiveTrial) -> str:
    return f"{duration(one.silent)} ago" + (": stalled?" if one.is_quiet else "")


def _problems(sweep: SweepStatus) -> Iterator[Text]:
    for trial in sweep.plan.trials:
        progress = sweep.progress[trial.key]
        if progress.reason:
            yield Text(f"{progress.state}: {trial} (trial {trial.key}): {progress.reason}", overflow="fold")
    failed = next((key for key, progress in sweep.progress.items() if progress.state == "failed"), None)
    if failed is not None:
        yield traceback_hint(sweep.plan.name, failed, sweep.location)


def traceback_hint(name: str, key: str, location: str) -> Text:
    """Return the line with the command that prints the traceback of a failed trial."""
    return Text(f"Traceback: {failure_command(name, key, location)}", overflow="fold")


def _table(*headings: str) -> Grid:
    table = Grid(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
