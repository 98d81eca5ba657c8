"""Labels of configurations: the settings that tell them apart, in the words of the sweep file."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..specs import content_key, trial_key

Parameters = Mapping[str, str]
"""Parameters of a configuration by name, such as `recipe.learning_rate`, as text."""

_ROW_COMPONENTS = ("dataset.", "architecture.", "recipe.")
_NAMES_IN_THE_SWEEP_FILE = {
    "exits.placement": "exits",
    "recipe.name": "recipe",
    "teacher.architecture": "teacher",
    "teacher.key": "teacher_key",
    "teacher.seed": "teacher_seed",
}


@dataclass(frozen=True, kw_only=True)
class Label:
    """Settings by which a configuration differs from others of its sweep."""

    row: tuple[str, ...]
    """Settings of dataset, architecture and recipe, such as `epochs=60`."""
    column: tuple[str, ...]
    """Settings of method, exits and teacher, such as `temperature=3`, among configurations of this method."""


def labels(configurations: Sequence[Parameters]) -> list[Label]:
    """Return the label of each configuration.

    A teacher of the student's own architecture is `self`, unless this adds columns to its method: `teacher: resnet20`
    is one teacher of all students, even if a student is a resnet20.

    Args:
        configurations: parameters of each, with `dataset.name`, `architecture.name` and `method.name`; the placement of
            exits as in the sweep file, because one `50%` is another block in each architecture.
    """
    names = ("dataset.name", "architecture.name", "method.name", "seed")
    of_rows = [{n: v for n, v in p.items() if n.startswith(_ROW_COMPONENTS) and n not in names} for p in configurations]
    rows = telling_settings(of_rows)
    places = [(p["dataset.name"], p["architecture.name"], row) for p, row in zip(configurations, rows, strict=True)]
    of_columns = [
        {n: v for n, v in p.items() if not n.startswith(_ROW_COMPONENTS) and n not in names} for p in configurations
    ]
    methods = [p["method.name"] for p in configurations]
    _name_own_teachers(of_columns, configurations)
    keys = [parameters.pop("teacher.key", "") for parameters in of_columns]
    columns = _by_method(of_columns, methods)
    # A teacher has a different key in each row, which does not separate columns. Two teachers in one row do, such as
    # two weight files of one architecture.
    taught = {*zip(places, methods, columns, keys, strict=True)}
    count = Counter((place, method, column) for place, method, column, _ in taught)
    unclear = {(method, column) for (_, method, column), several in count.items() if several > 1}
    if unclear:
        for parameters, method, column, key in zip(of_columns, methods, columns, keys, strict=True):
            if (method, column) in unclear and key:
                parameters["teacher.key"] = key
        columns = _by_method(of_columns, methods)
    return [Label(row=row, column=column) for row, column in zip(rows, columns, strict=True)]


def telling_settings(configurations: Sequence[Parameters]) -> list[tuple[str, ...]]:
    """Return for each configuration the parameters that distinguish the configurations, as `name=value`.

    Parameters that follow from previous ones, such as a default that depends on the loss, are omitted.
    """
    names = [*dict.fromkeys(name for parameters in configurations for name in sorted(parameters))]
    varying = [name for name in names if len({p[name] for p in configurations if name in p}) > 1]
    telling = _telling(configurations, varying)
    if _distinct(configurations, telling) < _distinct(configurations, names):
        # Some configurations differ only in that a parameter is absent: then its absence counts as a value.
        telling = _telling(configurations, names)
    return [
        tuple(f"{setting(name)}={parameters[name]}" for name in telling if name in parameters)
        for parameters in configurations
    ]


def setting(parameter: str) -> str:
    """Return the name of a parameter, such as `exits.placement`, in the sweep file."""
    return _NAMES_IN_THE_SWEEP_FILE.get(parameter, parameter.split(".", 1)[-1])


def parameters(spec: Mapping[str, Any], exits: str = "none") -> dict[str, str]:
    """Return the parameters of a canonical spec.

    A teacher is given by its architecture, seed and key. The hashes of plugins are left out.

    Args:
        spec: canonical spec of a trial, with or without its seed.
        exits: placement of the exits as written in the sweep file; `none` keeps that of the spec.
    """
    described = {name: value for name, value in spec.items() if name != "plugins"}
    if (teacher := spec.get("teacher")) is not None:
        key = content_key(teacher) if "sha256" in teacher else trial_key(teacher)
        described["teacher"] = {
            "architecture": teacher["architecture"]["name"],
            "seed": teacher.get("seed"),
            "key": key,
        }
    if exits != "none" and "exits" in described:
        described["exits"] = {**described["exits"], "placement": exits}
    return dict(_flat(described))


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Iterate over the leaves of a spec that have a value, as parameters: `recipe.learning_rate`, `0.1`."""
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None:
            yield prefix + name, shortest(value)


def shortest(value: object) -> str:
    """Return a value as a person writes it: `1` for 1.0, `true` for True."""
    if isinstance(value, float) and value == int(value) and abs(value) < 1e16:
        return str(int(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _name_own_teachers(of_columns: list[dict[str, str]], configurations: Sequence[Parameters]) -> None:
    """Replace a teacher of the student's architecture by `self`, where this gives a method no more columns."""
    named, own = defaultdict(set), defaultdict(set)
    renamed = []
    for parameters in configurations:
        teacher, method = parameters.get("teacher.architecture"), parameters["method.name"]
        renamed.append("self" if teacher == parameters["architecture.name"] else teacher)
        if teacher is not None:
            named[method].add(teacher)
            own[method].add(renamed[-1])
    for parameters, configuration, teacher in zip(of_columns, configurations, renamed, strict=True):
        method = configuration["method.name"]
        if teacher is not None and len(own[method]) <= len(named[method]):
            parameters["teacher.architecture"] = teacher


def _by_method(of_columns: Sequence[Parameters], methods: Sequence[str]) -> list[tuple[str, ...]]:
    columns: list[tuple[str, ...]] = [()] * len(methods)
    for method in set(methods):
        positions = [position for position, name in enumerate(methods) if name == method]
        for position, texts in zip(positions, telling_settings([of_columns[p] for p in positions]), strict=True):
            columns[position] = texts
    return columns


def _telling(configurations: Sequence[Parameters], names: Sequence[str]) -> list[str]:
    telling: list[str] = []
    distinct = 1
    for name in names:
        if (more := _distinct(configurations, [*telling, name])) > distinct:
            telling.append(name)
            distinct = more
    return telling


def _distinct(configurations: Sequence[Parameters], names: Sequence[str]) -> int:
    return len({tuple(parameters.get(name) for name in names) for parameters in configurations}) if names else 1
