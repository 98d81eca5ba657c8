"""Stored traceback of a failed trial, found by its key."""

import shlex
from pathlib import Path

from ..specs import SpecError, nearest, printable_lines
from ..store import Plan, PlannedTrial, Store

SHOWN = 5
"""Maximum number of keys in a message."""


def failure_command(name: str, key: str, location: str) -> str:
    """Return the command that prints the traceback of a trial.

    Args:
        name: Name of the sweep.
        key: Key of the trial.
        location: Storage, as `Store.location`.
    """
    storage = [] if location == str(Path("runs").absolute()) else ["--storage", location]
    return shlex.join(["exeunt", "status", name, "--failure", key, *storage])


def failure_text(plan: Plan, store: Store, key: str) -> str:
    """Return the trial, its state and the traceback of its last attempt, without control characters.

    Args:
        plan: Plan of the sweep.
        store: Store with the trials.
        key: Key of a trial of the plan, or its beginning.

    Raises:
        SpecError: if no trial or several trials have this key, or if the trial has not failed.
    """
    trial = _trial(plan, store, key)
    progress = store.progress(trial.key, plan.stopping)
    failure = store.trial(trial.key).failure()
    heading = f"{trial} (trial {trial.key}): {progress.state}"
    if failure is None and not progress.reason:
        failed = [one.key for one in plan.trials if store.trial(one.key).failure() is not None]
        listed = f"failed trials: {', '.join(failed[:SHOWN])}" if failed else "no trial of this sweep has failed"
        raise SpecError(f"--failure: {trial.key} has no failure, its state is {progress.state}; {listed}.", field="key")
    reason = progress.reason if failure is None else str(failure["reason"])
    trace = "" if failure is None else str(failure.get("traceback", ""))
    if not trace:
        trace = f"{reason}\nNo traceback is stored: no Python exception ended this trial."
    return printable_lines(f"{heading}\n\n{trace.rstrip()}")


def _trial(plan: Plan, store: Store, key: str) -> PlannedTrial:
    """Return the only trial whose key begins with `key`, or of several the only one that has failed."""
    trials = {trial.key: trial for trial in plan.trials}
    if key in trials:
        return trials[key]
    found = [trial for trial in trials.values() if trial.key.startswith(key)]
    if len(found) > 1:
        found = [trial for trial in found if store.trial(trial.key).failure() is not None] or found
    if len(found) == 1:
        return found[0]
    if found:
        keys = ", ".join(trial.key for trial in found[:SHOWN])
        rule = f"{len(found)} trials have keys that begin with {key!r}; write more of the key"
        raise SpecError(f"--failure: {rule}: {keys}.", field="key")
    raise SpecError(f"--failure: {plan.name} has no trial {key!r}; {nearest(key, trials)}.", field="key")
