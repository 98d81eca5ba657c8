"""The file `sweeps/NAME/plan.json`, in which a plan is kept; commands that read results read it here."""

import functools
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, cast, get_args

from ..specs import is_printable
from .directory import Directory
from .plan import TRACKING, Configuration, CostUnit, Margins, Plan, PlannedTrial, Price, Role, SearchRecord, TuningInfo
from .plugins import keep_plugins, kept_plugins
from .records import (
    Check,
    Record,
    RecordFile,
    is_count,
    is_number,
    is_object,
    is_text,
    list_of,
    object_of,
    one_of,
    optional,
    shaped,
)

PLAN_FILE, SWEEP_FILE, CAPS_FILE = "plan.json", "sweep.yaml", "caps.json"


def _is_line(value: object) -> bool:
    return isinstance(value, str) and is_printable(value)


_CONFIGURATION: dict[str, Check] = {
    "spec": shaped(
        dataset=shaped(name=_is_line),
        architecture=shaped(name=_is_line),
        method=shaped(name=_is_line),
        recipe=shaped(epochs=is_count),
    ),
    "settings": list_of(_is_line),
    "row_settings": list_of(_is_line),
    "exits": _is_line,
    "reported": is_text,
    "cost": is_number,
    "weights": is_text,
    "seeds": is_count,
}


_LATER: dict[str, Check] = {"backbone": is_text, "images": object_of(is_text)}
"""Fields of a configuration that plans of earlier versions do not have."""

_TRIAL: dict[str, Check] = {
    "configuration": is_text,
    "seed": is_count,
    "role": one_of(*get_args(Role)),
    "order": is_count,
    "seed_index": is_count,
    "confirmed": optional(shaped(tuning=is_text, budget=is_text, tried=is_text)),
    "tried": is_text,
}

_SEARCH: dict[str, Check] = {
    "budget": optional(is_count),
    "seconds": optional(is_number),
    "scoring": is_text,
    "studies": optional(is_text),
    "spaces": object_of(is_text),
}


def _is_difference(value: object) -> bool:
    return is_number(value) and 0 < cast("float", value) < math.inf


def _is_price(value: object) -> bool:
    return is_number(value) and 0 <= cast("float", value) < math.inf


_MARGINS: dict[str, Check] = dict.fromkeys(("detect", "spread", "equivalent"), optional(_is_difference))

_PRICE: dict[str, Check] = {"amount": _is_price, "currency": _is_line}

CAPS = RecordFile(
    required={"limits": shaped(dict.fromkeys(get_args(CostUnit), is_number))},
    remedy="Remove the file; the next run of the sweep writes it anew.",
)
"""Caps on the cost of the last run of a sweep."""

PLAN = RecordFile(
    required={
        "name": is_text,
        "search": optional(shaped(**_SEARCH)),
        "stopping": optional(is_object),
        "configurations": object_of(shaped(_LATER, **_CONFIGURATION)),
        "trials": list_of(shaped(**_TRIAL)),
        "coming": list_of(shaped(**_TRIAL, number=is_count)),
    },
    # Plans of earlier versions have none of these.
    optional={"margins": shaped(_MARGINS), "tracking": list_of(is_text), "price": optional(shaped(**_PRICE))},
    compact=True,
    remedy="Run the sweep again; it writes the file anew.",
)


def save_plan(plan: Plan, directory: Directory) -> None:
    """Write a plan, its sweep file and its plugins to the directory of the sweep."""
    keep_plugins(directory, plan.plugins)
    examples = [trial for trial, _ in plan.coming]
    configurations = {trial.configuration.id: trial.configuration for trial in (*plan.trials, *examples)}
    PLAN.write(
        directory,
        PLAN_FILE,
        {
            "name": plan.name,
            "search": plan.search and _values(plan.search),
            "stopping": plan.stopping,
            "configurations": {id: _values(configuration) for id, configuration in configurations.items()},
            "trials": [_described(trial) for trial in plan.trials],
            "coming": [_described(trial) | {"number": number} for trial, number in plan.coming],
            "margins": _values(plan.margins),
            "tracking": plan.tracking,
            "price": plan.price and _values(plan.price),
        },
    )
    directory.write(SWEEP_FILE, plan.text.encode())  # last: with this file the sweep counts as launched


def load_plan(directory: Directory) -> Plan | None:
    """Return the plan in the directory of a sweep; None if there is none.

    Raises:
        DamagedFileError: if the file is no plan, or a configuration differs from its ID.
        NewerFormatError: if a later release has written it.
    """
    record = PLAN.read(directory, PLAN_FILE)
    if record is None:
        return None
    configurations = {id: _made(Configuration, content) for id, content in record["configurations"].items()}
    try:
        wrong = [f"configuration {id} is {found.id}" for id, found in configurations.items() if found.id != id]
    except (ValueError, RecursionError) as error:  # NaN, or nested deeper than any spec
        wrong = [str(error)]
    named = {trial["configuration"] for trial in (*record["trials"], *record["coming"])}
    wrong += [f"a trial has the unknown configuration {id}" for id in sorted(named - configurations.keys())]
    if wrong:
        raise PLAN.damaged(directory, PLAN_FILE, wrong[0])
    return Plan(
        name=record["name"],
        search=record["search"] and _made(SearchRecord, record["search"]),
        text=(directory.read(SWEEP_FILE) or b"").decode(errors="replace"),
        plugins=kept_plugins(directory),
        stopping=record["stopping"],
        trials=tuple(_trial(content, configurations) for content in record["trials"]),
        coming=tuple((_trial(content, configurations), content["number"]) for content in record["coming"]),
        margins=_made(Margins, record.get("margins", {})),
        tracking=tuple(record.get("tracking", TRACKING)),
        price=_made(Price, record["price"]) if record.get("price") else None,
    )


_T = TypeVar("_T")


@functools.cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _values(part: Configuration | SearchRecord | Margins | TuningInfo | Price) -> Record:
    """Return all fields of a part of a plan."""
    return {name: getattr(part, name) for name in _names(type(part))}


def _made(kind: type[_T], content: Mapping[str, Any]) -> _T:
    """Return a part of a plan from its fields; those of later versions are ignored."""
    known = {name: content[name] for name in _names(kind) if name in content}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in known.items()})


def _described(trial: PlannedTrial) -> Record:
    about = {name: getattr(trial, name) for name in _TRIAL if name not in ("configuration", "confirmed")}
    return {**about, "configuration": trial.configuration.id, "confirmed": trial.confirmed and _values(trial.confirmed)}


def _trial(content: Mapping[str, Any], configurations: Mapping[str, Configuration]) -> PlannedTrial:
    confirmed = content["confirmed"] and _made(TuningInfo, content["confirmed"])
    return _made(
        PlannedTrial,
        {**content, "configuration": configurations[content["configuration"]], "confirmed": confirmed},
    )
