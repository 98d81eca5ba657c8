"""Failure tables: every trial without a result, with the reason."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ..labels import with_labels
from ..rendered_table import Heading, RenderedTable, TableEntry, one_line


def failures(frame: pd.DataFrame) -> RenderedTable:
    """Return a table of all trials that failed, diverged, were pruned, are running or were not run."""
    planned = frame.loc[frame["role"] != "unplanned"]
    trials = with_labels(planned.sort_values(["order", "key"]).reset_index(drop=True))
    not_run = _not_run(trials)
    records = [*_recorded(trials.loc[trials["state"] != "done"]), *not_run]
    counts = pd.Series([record["state"] for record in records], dtype="str").value_counts(sort=False)
    said = ", ".join(f"{count} {state}" for state, count in counts.items()) or "none"
    sweep = frame["sweep"].iloc[0] if len(frame) else ""
    completed = trials["state"].tolist().count("done")
    return RenderedTable(
        sweep=sweep,
        subject="failures",
        title=one_line(f"{sweep}: trials without a result: {said}"),
        remarks=(
            f"{completed} {'trial' if completed == 1 else 'trials'} completed",
            *_traceback(sweep, records),
            *(["Trials that have not started are listed without a seed"] if not_run else []),
        ),
        headings=tuple(
            Heading(lines=(name,), align="wrap" if name == "reason" else "left")
            for name in ("architecture", "method", "seed", "role", "state", "reason", "key")
        ),
        stubs=2,
        rows=tuple(
            tuple(
                TableEntry(text=one_line(str(text)))
                for text in (
                    f"{record['architecture']} {record['settings']}".strip(),
                    record["method"],
                    "" if record["seed"] is None else record["seed"],
                    record["role"],
                    record["state"],
                    record["reason"],
                    record["key"],
                )
            )
            for record in records
        ),
        records=tuple(records),
    )


def _traceback(sweep: str, records: list[dict[str, str | int | None]]) -> list[str]:
    """Return the remark with the command that prints the traceback of a failed trial, if there is one."""
    key = next((record["key"] for record in records if record["state"] == "failed"), None)
    return [f"Traceback of a failed trial: `exeunt status {sweep} --failure {key}`"] if key else []


def _recorded(trials: pd.DataFrame) -> list[dict[str, str | int | None]]:
    return [
        _record(trial, seed=trial["seed"], state=trial["state"], reason=trial["error"], key=trial["key"])
        for trial in trials.to_dict("records")
    ]


def _not_run(trials: pd.DataFrame) -> list[dict[str, str | int | None]]:
    """Return a record for each planned seed of a result that the frame lacks."""
    if trials.empty:
        return []
    places = trials.loc[trials["role"] == "result"].groupby(["row", "column"], sort=False)
    return [
        _record(of_place.to_dict("records")[0], seed=None, state="not run", reason=None, key="")
        for _, of_place in places
        for _ in range(max(of_place["seeds"]) - len(of_place))
    ]


def _record(
    trial: Mapping[Any, Any], *, seed: int | None, state: str, reason: str | None, key: str
) -> dict[str, str | int | None]:
    return {
        "dataset": trial["dataset"],
        "architecture": trial["architecture"],
        "settings": ", ".join(trial["row"].settings),
        "method": trial["column"].label,
        "seed": seed,
        "role": trial["role"],
        "state": state,
        "reason": reason if isinstance(reason, str) else "",
        "key": key,
    }
