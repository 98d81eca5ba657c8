"""Conversion of a trial store of Exeunt 0.1.0, whose keys hashed the seed as well. No trial is trained again."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..specs import content_key, trial_key
from .lease import SweepLockedError, old_lease_owner
from .plan_record import SWEEP_FILE
from .records import DamagedFileError
from .trial_files import RESULT, SPEC, WEIGHTS
from .trial_store import Store

OLD_KEY = re.compile("[0-9a-f]{16}")
"""Form of a trial's key in 0.1.0."""
_KEPT = "-kept"
"""Suffix of a directory with a copy of weights, while their trial has not been renamed."""


@dataclass(frozen=True, kw_only=True)
class Migrated:
    """Trial directory of 0.1.0 and what became of it."""

    old: str
    """Key in 0.1.0."""
    new: str = ""
    """Key now; empty if the trial was left as it is."""
    problem: str = ""
    """Reason why it was left."""


def migrate_trials(store: Store, text: str = "") -> Iterator[Migrated]:
    """Give each trial of 0.1.0 its new key, and iterate over them. An interrupted conversion can be repeated.

    If a sweep file names the weights of a trial, a copy of them stays in their place.

    Args:
        store: store to convert.
        text: content of a sweep file that is not in the store yet.

    Raises:
        SweepLockedError: if Exeunt 0.1.0 runs a sweep in this store.
    """
    trials = store.root.inside("trials")
    present = set(trials.subdirectories())
    for old in [name.removesuffix(_KEPT) for name in present if name.endswith(_KEPT)]:
        if old not in present:  # interrupted between the two renames below
            trials.rename_subdirectory(old + _KEPT, old)
    olds = sorted(filter(OLD_KEY.fullmatch, present))
    if not olds:
        return
    _require_stopped(store)
    texts = [text.encode(), *(store.sweep_directory(name).read(SWEEP_FILE) or b"" for name in store.sweeps())]
    for old in olds:
        directory = trials.inside(old)
        if directory.entries().keys() == {WEIGHTS}:  # kept below
            continue
        try:
            spec, result = SPEC.read(directory, "spec.json"), RESULT.read(directory, "result.json")
        except DamagedFileError as damage:
            yield Migrated(old=old, problem=str(damage))
            continue
        if spec is None or content_key(spec) != old:
            yield Migrated(old=old, problem="spec.json is missing or belongs to another trial")
        elif (new := trial_key(spec)) in present:
            yield Migrated(old=old, problem=f"trial {new} exists already")
        else:
            SPEC.write(directory, "spec.json", spec)
            if result is not None:
                RESULT.write(directory, "result.json", result | {"key": new})
            weights = directory.read(WEIGHTS) if any(f"/{old}/{WEIGHTS}".encode() in text for text in texts) else None
            if weights is not None:
                trials.inside(old + _KEPT).write(WEIGHTS, weights)
            trials.rename_subdirectory(old, new)
            if weights is not None:
                trials.rename_subdirectory(old + _KEPT, old)
            yield Migrated(old=old, new=new)


def _require_stopped(store: Store) -> None:
    for name in store.root.inside("sweeps").subdirectories():
        if (owner := old_lease_owner(store.sweep_directory(name))) is not None:
            whose = f"process {owner['pid']} on {owner['host']} runs sweep {name!r} with Exeunt 0.1.0"
            raise SweepLockedError(f"{whose} in {store.location}; stop it before the storage is converted.")
