"""Every trial that has no result, and why."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ..labels import columns, rows
from ..rendered_table import Heading, RenderedTable, TableEntry, one_line


def failures(frame: pd.DataFrame) -> RenderedTable:
    """List what failed, diverged, was pruned, runs or was not run, whatever it was trained for."""
    trials = frame.loc[frame["role"] != "unplanned"].sort_values(["order", "key"]).reset_index(drop=True)
    if len(trials):
        trials = trials.assign(row=rows(trials), column=columns(trials))
    records = [*_recorded(trials.loc[trials["state"] != "done"]), *_not_run(trials)]
    counts = pd.Series([record["state"] for record in records], dtype="str").value_counts(sort=False)
    said = ", ".join(f"{count} {state}" for state, count in counts.items()) or "none"
    sweep = frame["sweep"].iloc[0] if len(frame) else ""
    return RenderedTable(
        sweep=sweep,
        subject="failures",
        title=one_line(f"{sweep}: trials without a result: {said}"),
        remarks=(
            f"{(trials['state'] == 'done').sum()} trials are done",
            "Trials that have not begun are known only where another seed has: these rows have no seed",
        ),
        headings=tuple(
            Heading(lines=(name,), align="wrap" if name == "reason" else "left")
            for name in ("architecture", "method", "seed", "role", "state", "reason", "key")
        ),
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


def _recorded(trials: pd.DataFrame) -> list[dict[str, str | int | None]]:
    return [
        _record(trial, seed=trial["seed"], state=trial["state"], reason=trial["error"], key=trial["key"])
        for trial in trials.to_dict("records")
    ]


def _not_run(trials: pd.DataFrame) -> list[dict[str, str | int | None]]:
    """A record for each seed that is planned for a configuration of results, and that no trial is recorded of."""
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
