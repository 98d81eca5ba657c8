"""Labels of configurations: the settings that tell them apart, in the words of the sweep file.

Planning labels the configurations of a sweep, and tables label those that they show. The table of a whole sweep has the
labels of its plan.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..specs import content_key, trial_key

Values = Sequence[str | None]
"""Values of a parameter by configuration; None where it has no effect."""

_ROW_COMPONENTS = ("dataset.", "architecture.", "recipe.")
_NAMES = ("dataset.name", "architecture.name", "method.name", "seed")
_NAMES_IN_THE_SWEEP_FILE = {
    "exits.placement": "exits",
    "recipe.name": "recipe",
    "teacher.architecture": "teacher",
    "teacher.key": "teacher_key",
    "teacher.seed": "teacher_seed",
}


@dataclass(frozen=True, kw_only=True)
class Label:
    """Settings by which a configuration differs from others that are shown with it."""

    row: tuple[str, ...]
    """Settings of dataset, architecture and recipe, such as `epochs=60`."""
    column: tuple[str, ...]
    """Settings of method, exits and teacher, such as `temperature=3`, among configurations of this method."""


def labels(parameters: Mapping[str, Values]) -> list[Label]:
    """Return the label of each configuration.

    A teacher of the student's own architecture is `self`, unless this adds columns to its method: `teacher: resnet20`
    is one teacher of all students, even if a student is a resnet20.

    Args:
        parameters: values of each parameter, such as `recipe.learning_rate`, by configuration. Their order is that of
            the settings in a label. `dataset.name`, `architecture.name` and `method.name` are required. Exits are
            placed as in the sweep file, because one `50%` is another block in each architecture.
    """
    datasets, architectures, methods = (parameters[name] for name in _NAMES[:3])
    of_rows, of_columns = {}, {}
    for name, values in parameters.items():
        if name not in _NAMES:
            (of_rows if name.startswith(_ROW_COMPONENTS) else of_columns)[name] = values
    rows = telling_settings(of_rows, len(methods))
    if "teacher.architecture" in of_columns:
        of_columns["teacher.architecture"] = _with_self(of_columns["teacher.architecture"], architectures, methods)
    keys = of_columns.pop("teacher.key", [None] * len(methods))
    columns = _by_method(of_columns, methods)
    # A teacher has a different key in each row, which does not separate columns. Two teachers in one row do, such as
    # two weight files of one architecture.
    taught = {*zip(zip(datasets, architectures, rows, methods, columns, strict=True), keys, strict=True)}
    count = Counter(place for place, _ in taught)
    unclear = {place[-2:] for place, several in count.items() if several > 1}
    if unclear:
        named = zip(methods, columns, strict=True)
        of_columns["teacher.key"] = [key if name in unclear else None for name, key in zip(named, keys, strict=True)]
        columns = _by_method(of_columns, methods)
    return [Label(row=row, column=column) for row, column in zip(rows, columns, strict=True)]


def telling_settings(parameters: Mapping[str, Values], number: int) -> list[tuple[str, ...]]:
    """Return for each of `number` configurations the parameters that distinguish them, as `name=value`.

    Parameters that follow from previous ones, such as a default that depends on the loss, are omitted.
    """
    varying = {name: values for name, values in parameters.items() if len({*values} - {None}) > 1}
    telling, groups = _telling(varying, number)
    everything, finest = _telling(parameters, number)
    if groups < finest:
        # Some configurations differ only in that a parameter is absent: then its absence counts as a value.
        telling = everything
    names = {name: setting(name) for name in telling}
    return [
        tuple(f"{names[name]}={values[place]}" for name, values in telling.items() if values[place] is not None)
        for place in range(number)
    ]


def setting(parameter: str) -> str:
    """Return the name of a parameter, such as `exits.placement`, in the sweep file."""
    return _NAMES_IN_THE_SWEEP_FILE.get(parameter, parameter.split(".", 1)[-1])


def by_name(configurations: Sequence[Mapping[str, str]]) -> dict[str, Values]:
    """Return the values of each parameter that a configuration has, sorted by name as in a loaded frame."""
    names = sorted({name for parameters in configurations for name in parameters})
    return {name: [parameters.get(name) for parameters in configurations] for name in names}


def parameters(spec: Mapping[str, Any], exits: str = "none") -> dict[str, str]:
    """Return the parameters of a canonical spec.

    A teacher is given by its architecture, seed and key. The hashes of plugins and of images in a folder are left out.

    Args:
        spec: canonical spec of a trial, with or without its seed.
        exits: placement of the exits as written in the sweep file; `none` keeps that of the spec.
    """
    described = {name: value for name, value in spec.items() if name != "plugins"}
    described["dataset"] = {"name": spec["dataset"]["name"]}
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
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _with_self(teachers: Values, architectures: Values, methods: Values) -> Values:
    """Replace the teachers of the student's architecture by `self`, where this gives a method no more columns."""
    own = ["self" if teacher == student else teacher for teacher, student in zip(teachers, architectures, strict=True)]
    of_method, own_of_method = defaultdict(set), defaultdict(set)
    for method, teacher, other in zip(methods, teachers, own, strict=True):
        of_method[method].add(teacher)
        own_of_method[method].add(other)
    return [
        teacher if len(own_of_method[method]) > len(of_method[method]) else other
        for method, teacher, other in zip(methods, teachers, own, strict=True)
    ]


def _by_method(parameters: Mapping[str, Values], methods: Values) -> list[tuple[str, ...]]:
    """Return for each configuration the parameters that distinguish the configurations of its method."""
    places: defaultdict[str | None, list[int]] = defaultdict(list)
    for place, method in enumerate(methods):
        places[method].append(place)
    columns: list[tuple[str, ...]] = [()] * len(methods)
    for own in places.values():
        of_method = {name: [values[place] for place in own] for name, values in parameters.items()}
        for place, texts in zip(own, telling_settings(of_method, len(own)), strict=True):
            columns[place] = texts
    return columns


def _telling(parameters: Mapping[str, Values], number: int) -> tuple[dict[str, Values], int]:
    """Return the parameters that distinguish configurations which all earlier ones do not, and the number of groups."""
    telling: dict[str, Values] = {}
    groups, found = [0] * number, 1
    for name, values in parameters.items():
        numbers: dict[tuple[int, str | None], int] = {}
        finer = [numbers.setdefault(pair, len(numbers)) for pair in zip(groups, values, strict=True)]
        if len(numbers) > found:
            telling[name], groups, found = values, finer, len(numbers)
    return telling, found
