"""Conversion of a trial store of Exeunt 0.1.0, whose keys hashed the seed as well. No trial is trained again."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..specs import content_key, trial_key
from .records import DamagedFileError
from .trial_files import RESULT, SPEC
from .trial_store import Store

OLD_KEY = re.compile("[0-9a-f]{16}")
"""Form of a trial's key in 0.1.0."""


@dataclass(frozen=True, kw_only=True)
class Migrated:
    """Trial directory of 0.1.0 and what became of it."""

    old: str
    """Key in 0.1.0."""
    new: str = ""
    """Key now; empty if the trial was left as it is."""
    problem: str = ""
    """Reason why it was left."""


def migrate_trials(store: Store) -> Iterator[Migrated]:
    """Give each trial of 0.1.0 its new key, and iterate over them. An interrupted conversion can be repeated."""
    trials = store.root.inside("trials")
    present = set(trials.subdirectories())
    for old in sorted(filter(OLD_KEY.fullmatch, present)):
        directory = trials.inside(old)
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
            trials.rename_subdirectory(old, new)
            yield Migrated(old=old, new=new)
