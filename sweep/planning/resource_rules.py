"""Resources of each trial: `resources: [{cpu: 2}, {architecture: resnet110, method: [kd, eed], gpu: 1}]`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...specs import nearest
from ...store import Configuration
from ...training import TrialSpec
from .parsing import axis, field_names, refuse_unknown_keys, validated
from .resources import Resources
from .yaml_document import Document, DocumentError, Place

FIELDS = ("dataset", "architecture", "method")
"""Fields that select the trials of a rule."""
OF_THE_SWEEP = ("retries", "max_epoch_hours", "price")
"""Keys that hold for all trials."""
Names = tuple[str, str, str]
"""Dataset, architecture and method of a trial."""


@dataclass(frozen=True, kw_only=True)
class _ResourceRule:
    """Some resources, and the trials that they are for."""

    wanted: Mapping[str, list[str]]
    """Values of the fields of its trials."""
    keys: Mapping[str, Any]
    place: Place

    def matches(self, names: Names) -> bool:
        return all(names[FIELDS.index(field)] in values for field, values in self.wanted.items())


@dataclass(frozen=True, kw_only=True)
class _Merged:
    """Keys of several rules; a later rule overrides an earlier one."""

    rules: list[_ResourceRule]

    @property
    def keys(self) -> dict[str, Any]:
        return {key: value for rule in self.rules for key, value in rule.keys.items()}

    def place(self, key: str | None) -> Place:
        """Return the place of a key, or that of the last rule."""
        rules = [rule for rule in self.rules if key in rule.keys] or self.rules[-1:]
        return (*(rules[-1].place if rules else ("resources",)), *((key,) if key else ()))


class ResourceRules:
    """The rules of a file: one mapping for all trials, or a list of them, each for some trials.

    A trial gets the keys of every rule that matches its dataset, architecture and method. A later rule overrides an
    earlier one. Teachers and backbones get theirs in the same way.
    """

    def __init__(self, written: object, document: Document) -> None:
        """Check each rule. Raises `DocumentError` for an unknown key or a value that is not allowed."""
        self._document = document
        self._resources: dict[Names, Resources] = {}
        self._rules: list[_ResourceRule] = []
        if not isinstance(written, list):
            self.common = validated(Resources, written, document, ("resources",))
            self._rules = [_ResourceRule(wanted={}, keys=dict(written), place=("resources",))]  # type: ignore[call-overload]
            return
        axis(written, document, ("resources",))
        for number, section in enumerate(validated(list[dict[str, Any]], written, document, ("resources",))):
            self._rules.append(self._rule(section, ("resources", number)))
            self._merged([*(rule for rule in self._rules[:-1] if not rule.wanted), self._rules[-1]])
        self.common = self._merged([rule for rule in self._rules if not rule.wanted])
        """Resources of a trial that no rule with a condition matches."""

    def of(self, configuration: Configuration) -> Resources:
        """Return the resources of the trials of a configuration."""
        return self._of((configuration.dataset, configuration.architecture, configuration.method))

    def of_spec(self, trial: TrialSpec) -> Resources:
        """Return the resources of a trial."""
        return self._of(_names(trial))

    def check(self, trials: Iterable[TrialSpec]) -> None:
        """Check the resources of each trial, and of the trials whose weights it needs.

        Raises:
            DocumentError: for resources that are not allowed together, and for a value of a rule that no trial has.
        """
        found = {_names(one) for trial in trials for one in _with_sources(trial)}
        for names in sorted(found):
            self._of(names)
        for rule in self._rules:
            for field, values in rule.wanted.items():
                had = {names[FIELDS.index(field)] for names in found}
                if absent := [value for value in values if value not in had]:
                    hint = nearest(str(absent[0]), had)
                    problem = f"no trial of this sweep has {field} {absent[0]!r}; {hint}."
                    raise self._document.error((*rule.place, field), problem)
            if not any(map(rule.matches, found)):
                problem = "no trial of this sweep matches all fields of the rule; remove the rule or one of its fields."
                raise self._document.error(rule.place, problem)

    @property
    def each(self) -> list[Resources]:
        """The different resources of the trials that were checked."""
        return list({resources.text: resources for resources in self._resources.values()}.values()) or [self.common]

    def error(self, resources: Resources, key: str | None, problem: str) -> DocumentError:
        """Return the error that some resources of this sweep cannot be had, because of a key or of all together."""
        names = next((names for names, found in self._resources.items() if found.text == resources.text), None)
        rules = [rule for rule in self._rules if names is None or rule.matches(names)]
        return self._document.error(_Merged(rules=rules).place(key), problem)

    def _of(self, names: Names) -> Resources:
        if names not in self._resources:
            self._resources[names] = self._merged([rule for rule in self._rules if rule.matches(names)])
        return self._resources[names]

    def _rule(self, section: dict[str, Any], place: Place) -> _ResourceRule:
        refuse_unknown_keys(section, [*FIELDS, *field_names(Resources)], self._document, place)
        wanted = {field: self._values(section[field], (*place, field)) for field in FIELDS if field in section}
        keys = {key: value for key, value in section.items() if key not in FIELDS}
        if not keys:
            raise self._document.error(place, "sets no resource; add one, such as cpu, or remove the rule.")
        for key in OF_THE_SWEEP:
            if wanted and key in keys:
                problem = f"applies to all trials; move it to a rule without {next(iter(wanted))}."
                raise self._document.error((*place, key), problem)
        return _ResourceRule(wanted=wanted, keys=keys, place=place)

    def _values(self, written: object, place: Place) -> list[str]:
        values = axis(written, self._document, place)
        if not all(isinstance(value, str) for value in values):
            raise self._document.error(place, f"must be a name or a list of names, but got {written!r}.")
        return values

    def _merged(self, rules: list[_ResourceRule]) -> Resources:
        merged = _Merged(rules=rules)
        return validated(Resources, merged.keys, self._document, section=merged)


def _names(trial: TrialSpec) -> Names:
    return trial.dataset.name, trial.architecture.name, trial.method.name


def _with_sources(trial: TrialSpec) -> Iterable[TrialSpec]:
    """Iterate over a trial and the trials whose weights it needs."""
    yield trial
    for source in (trial.teacher, trial.backbone):
        if isinstance(source, TrialSpec):
            yield from _with_sources(source)
