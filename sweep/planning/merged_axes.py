"""Axes of a sweep file with values that give one experiment, and the reason.

The reason is found by trial: a field without effect is active again with another value of a field beside it.
"""

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...specs import FieldInfo, Spec, SpecError
from .candidates import NamedRecipe
from .parsing import AxisValues
from .search_part import TunedConfig
from .yaml_document import Document, Place

KEYS = {"placement": "exits"}
"""Keys of a sweep file for fields with another name."""
EXPLAINED = 100
"""Maximum number of pairs of experiments on an axis for which the reason is searched."""
TRIED_NUMBERS = (1.0, 0.5, 0.1, 0.0, 2.0)
"""Numbers that are tried for a field beside one without effect, if they are in its range."""


@dataclass(frozen=True, kw_only=True)
class MergedAxis:
    """Axis on which several values give one experiment."""

    section: str
    """Name of the method, or `recipe`."""
    field: str
    place: str
    """File, line and place of the axis, such as `sweep.yaml:8: methods.eed.temperature`."""
    values: int
    """Number of values on the axis."""
    reasons: tuple[str, ...]
    """Sentences without a full stop, such as `temperature has no effect with output_loss: mse`."""
    fix: str
    """Change with which the values would differ, as an imperative."""
    is_whole: bool
    """True if all values are one experiment, for all values of the other axes."""

    @property
    def why(self) -> str:
        """Reasons as one text."""
        return "; ".join(self.reasons)

    @property
    def warning(self) -> str:
        """Warning about an axis without effect, as one sentence with its place."""
        return f"{self.place}: all {self.values} values are one experiment: {self.why}. {self.fix}, or give one value."

    @property
    def note(self) -> str:
        """Sentence about an axis of which some values are one experiment."""
        return f"{self.place}: some values are one experiment: {self.why}."

    def to_dict(self) -> dict[str, Any]:
        """Return the axis as plain JSON values."""
        return {
            "section": self.section,
            "field": self.field,
            "place": self.place,
            "reasons": list(self.reasons),
            "fix": self.fix,
            "no_effect": self.is_whole,
        }


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One combination of the values of a section."""

    choice: AxisValues
    specs: tuple[Spec, ...]
    """Settings as written, not in canonical form."""
    experiments: Mapping[Hashable, str]
    """Configuration in each context: dataset, architecture, and recipe or method."""
    beyond: Callable[["Entry", str], str | None]
    """Function from another entry and an axis to the reason why both are one experiment, if no field is inactive."""


def merged_axes_of(
    candidates: Sequence[TunedConfig], named_recipes: Sequence[NamedRecipe], document: Document
) -> Iterator[MergedAxis]:
    """Iterate over the axes of the methods and recipes of a block on which several values give one experiment."""
    if len({one.trial.configuration for one in candidates}) == len(candidates):
        return
    of_way: dict[int, dict[Hashable, TunedConfig]] = {}
    of_recipe: dict[int, dict[Hashable, TunedConfig]] = {}
    ways = {id(one.way): one.way for one in candidates}
    for one in candidates:
        where = one.trial.dataset.name, one.trial.architecture.name
        of_way.setdefault(id(one.way), {})[(*where, id(one.recipe))] = one
        of_recipe.setdefault(id(one.recipe), {})[(*where, id(one.way))] = one
    sections: dict[Place, list[Entry]] = {}
    for number, way in ways.items():
        entry = _entry(way.choice, (way.written, way.exits), of_way[number])
        sections.setdefault(way.section, []).append(entry)
    for named in named_recipes:
        entry = _entry(named.choice, (named.recipe,), of_recipe.get(id(named.recipe), {}))
        sections.setdefault(named.section, []).append(entry)
    for section, entries in sections.items():
        yield from merged_axes(entries, document, section)


def _entry(choice: AxisValues, specs: tuple[Spec, ...], candidates: dict[Hashable, TunedConfig]) -> Entry:
    experiments = {context: one.trial.configuration for context, one in candidates.items()}

    def beyond(other: Entry, axis: str) -> str | None:
        """Return why two experiments are one although their settings differ: placement, teacher or protocol."""
        same = next(context for context, id in experiments.items() if other.experiments.get(context) == id)
        trial, values = candidates[same].trial, [one.choice.values[axis] for one in (entry, other)]
        listed = " and ".join(map(str, values))
        if axis == "exits":
            return f"exits {listed} are after the same blocks of {trial.architecture.name}"
        if axis == "teacher":
            return f"teachers {listed} are the same network for {trial.architecture.name}"
        if axis == "regime":
            return "regime has no effect without exits"
        if axis == "teacher_seed":
            return "teacher_seed has no effect with a teacher from a file"
        if axis == "evaluate_every":
            return "evaluate_every has no effect with protocol: final and validation: 0"
        return None

    entry = Entry(choice=choice, specs=specs, experiments=experiments, beyond=beyond)
    return entry


def merged_axes(entries: Sequence[Entry], document: Document, section: Place) -> Iterator[MergedAxis]:
    """Iterate over the axes of a section on which several values give one experiment.

    Args:
        entries: All combinations of the section's values.
        document: The sweep file.
        section: Place of the section.
    """
    axes = dict.fromkeys(name for entry in entries for name in entry.choice.positions)
    for axis in axes:
        groups: dict[Hashable, list[Entry]] = {}
        for entry in entries:
            others = tuple((name, at) for name, at in entry.choice.positions.items() if name != axis)
            groups.setdefault(others, []).append(entry)
        pairs = [pair for group in groups.values() for pair in _same(group)]
        if not pairs:
            continue
        found = dict.fromkeys(_reason(one, other, axis) for one, other in pairs[:: -(-len(pairs) // EXPLAINED)])
        yield MergedAxis(
            section=next(step for step in reversed(section) if isinstance(step, str)),
            field=axis,
            place=document.place_text((*section, axis)),
            values=max(map(len, groups.values())),
            reasons=tuple(dict.fromkeys(reason for reason, _ in found)),
            fix=next((fix for _, fix in found if fix), "Remove the values that repeat another"),
            is_whole=all(_is_one(group) for group in groups.values()),
        )


def _same(group: Sequence[Entry]) -> Iterator[tuple[Entry, Entry]]:
    """Iterate over the entries that give the experiment of an earlier entry in some context, each with that entry."""
    first: dict[tuple[Hashable, str], Entry] = {}
    for entry in group:
        earlier = {id(one): one for one in (first.setdefault(item, entry) for item in entry.experiments.items())}
        yield from ((one, entry) for one in earlier.values() if one is not entry)


def _is_one(group: Sequence[Entry]) -> bool:
    """Return True if all entries give one experiment in each context."""
    contexts: dict[Hashable, set[str]] = {}
    for entry in group:
        for context, experiment in entry.experiments.items():
            contexts.setdefault(context, set()).add(experiment)
    return len(group) > 1 and all(len(experiments) == 1 for experiments in contexts.values())


def _reason(one: Entry, other: Entry, axis: str) -> tuple[str, str]:
    """Return the reason why two entries that differ on one axis are one experiment, and the fix."""
    values = one.choice.values[axis], other.choice.values[axis]
    if values[0] == values[1]:
        return f"{axis}: {_written(values[0])} occurs twice", ""
    for spec, beside in zip(one.specs, other.specs, strict=True):
        for name in spec.field_infos():
            if KEYS.get(name, name) == axis and name in spec.inactive_fields() & beside.inactive_fields():
                return _without_effect(spec, name)
    reason = one.beyond(other, axis)
    if reason is not None:
        return reason, ""
    return f"{axis}: {_written(values[0])} and {_written(values[1])} are one experiment", ""


def _without_effect(spec: Spec, name: str) -> tuple[str, str]:
    """Return the settings that make a field inactive, and the change with which it would count."""
    key = KEYS.get(name, name)
    infos = [info for info in spec.field_infos().values() if info.name != name]
    for number in (1, 2):  # fields that have to change together
        for chosen in itertools.combinations(infos, number):
            for values in itertools.product(*(_tried(info, getattr(spec, info.name)) for info in chosen)):
                new = {info.name: value for info, value in zip(chosen, values, strict=True)}
                try:
                    counts = name not in spec.replace(**new).inactive_fields()
                except (SpecError, ValueError):
                    continue
                if counts:
                    cause = " and ".join(_setting(each, getattr(spec, each)) for each in new)
                    change = " and ".join(_setting(each, value) for each, value in new.items())
                    return f"{key} has no effect with {cause}", f"Set {change}"
    return f"{key} has no effect with the other settings", ""


def _tried(info: FieldInfo, held: Any) -> Iterable[Any]:
    """Return other values of a field: all choices, or some numbers of its range, or its default."""
    if info.choices:
        values: Iterable[Any] = info.choices
    elif info.kind is bool:
        values = (True, False)
    elif info.kind in (int, float):
        limits = info.limits
        values = [info.kind(number) for number in TRIED_NUMBERS if limits is None or limits.contains(info.kind(number))]
    else:
        values = (info.default, "all") if info.kind is str else (info.default,)
    return [value for value in dict.fromkeys(values) if value != held and isinstance(value, str | int | float)]


def _setting(name: str, value: Any) -> str:
    return f"{KEYS.get(name, name)}: {_written(value)}"


def _written(value: Any) -> str:
    """Return a value as in a sweep file."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
