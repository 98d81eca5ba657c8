"""Rules that exclude trials from a sweep: `exclude: [{architecture: vgg16, method: [kd, eed]}]`."""

from collections.abc import Iterable
from typing import Any

from ...losses import methods
from ...models import canonical
from ...specs import SpecError, nearest, unknown
from ...training import Recipe, TrialSpec
from .method_configs import SELF
from .parsing import axis, validated
from .yaml_document import Document, Place

FIELDS = ("dataset", "recipe", "architecture", "method", "exits", "head", "regime", "teacher", "teacher_seed", "seed")
"""Fields of a rule besides the settings of methods and recipes; those of recipes are written as `recipe.epochs`."""


def known_fields() -> set[str]:
    """Return the fields that a rule can have."""
    of_methods = {name for method in methods for name in methods[method].field_infos()}
    return {*FIELDS, *of_methods, *(f"recipe.{name}" for name in Recipe.field_infos())}


class Exclusions:
    """The rules of a file, each a mapping of fields to a value or a list of values.

    A rule excludes a trial that has one of the rule's values in every field of the rule. Trials are compared in
    canonical form: a trial whose loss has no temperature matches no temperature.
    """

    def __init__(self, written: object, document: Document) -> None:
        """Check the fields of all rules. Raises `DocumentError` for an unknown field or an empty rule."""
        self._document = document
        self._place: Place = ("exclude",)
        known = known_fields()
        self._rules: list[_Rule] = []
        for number, rule in enumerate(validated(list[dict[str, Any]], written, document, self._place)):
            place = (*self._place, number)
            if not rule:
                problem = "an empty rule would exclude every trial; add a field, such as method, or remove the rule."
                raise document.error(place, problem)
            for field in rule:
                if field not in known:
                    raise document.error((*place, field), str(unknown("field", field, known)))
            self._rules.append(_Rule(rule, document, place))

    def kept(self, trial: TrialSpec, recipe: str, seeds: Iterable[int]) -> tuple[int, ...]:
        """Return the seeds with which a trial is not excluded.

        Args:
            trial: in canonical form; its own seed is not read.
            recipe: name of the recipe that the trial's recipe is based on.
            seeds: the seeds of the trial's block.
        """
        kept = tuple(dict.fromkeys(seeds))
        excluded: set[int] = set()
        for rule in self._rules:
            excluded |= rule.excluded(trial, recipe, kept)
        return tuple(seed for seed in kept if seed not in excluded) if excluded else kept

    def check(self, *, anything_left: bool) -> None:
        """Raise `DocumentError` for a rule or a value that matched no trial; to be called after all calls of `kept`."""
        for rule in self._rules:
            rule.check()
        if not anything_left:
            raise self._document.error(self._place, "the rules exclude every trial; remove or narrow a rule.")


class _Rule:
    def __init__(self, written: dict[str, Any], document: Document, place: Place) -> None:
        self._document = document
        self._place = place
        self._wanted = {field: self._values(field, value) for field, value in written.items()}
        self._is_list = {field: isinstance(value, list) for field, value in written.items()}
        self._unmet = {field: set(values) for field, values in self._wanted.items()}
        """Values of the rule that no trial has had so far."""
        self._seen: dict[str, set[object]] = {field: set() for field in written}
        """Values that trials have had so far."""
        self._has_matched = False

    def excluded(self, trial: TrialSpec, recipe: str, seeds: Iterable[int]) -> set[int]:
        """Return the seeds with which a trial matches the rule."""
        matching = set(seeds)
        for field, wanted in self._wanted.items():
            held = set(seeds) if field == "seed" else _held(trial, recipe, field)
            met = {value for value in wanted if (_placement(value, trial) if field == "exits" else value) in held}
            self._seen[field] |= held
            self._unmet[field] -= met
            matching &= met if field == "seed" else matching if met else set()
        self._has_matched |= bool(matching)
        return matching

    def check(self) -> None:
        for field, wanted in self._wanted.items():
            for position, value in enumerate(wanted):
                if value in self._unmet[field]:
                    place = (*self._place, field, *((position,) if self._is_list[field] else ()))
                    had = nearest(str(value), map(str, self._seen[field]))
                    raise self._document.error(place, f"no trial of this sweep has {field} {value!r}; {had}.")
        if not self._has_matched:
            problem = "no trial of this sweep matches all fields of the rule; remove the rule or one of its fields."
            raise self._document.error(self._place, problem)

    def _values(self, field: str, written: object) -> list[Any]:
        values = axis(written, self._document, (*self._place, field))
        parts = [part for value in values for part in (value if isinstance(value, list) else [value])]
        if any(isinstance(part, list | dict) for part in parts):
            problem = f"must be a value or a list of values, but got {written!r}."
            raise self._document.error((*self._place, field), problem)
        if field == "exits":  # YAML reads the number of a stage as an integer
            return [str(value) for value in values]
        return [tuple(value) if isinstance(value, list) else value for value in values]


def _held(trial: TrialSpec, recipe: str, field: str) -> set[object]:
    """Return the values of a field of a canonical trial: none, one, or two if a value has two names."""
    teacher, method = trial.teacher, trial.method
    held: dict[str, list[object]] = {
        "dataset": [trial.dataset.name],
        "recipe": [recipe],
        "architecture": [trial.architecture.name],
        "method": [method.name],
        "exits": [] if method.exits == "ignored" else [trial.exits.placement],
        "head": [] if trial.exits.placement == "none" else [trial.exits.head],
        "regime": [] if trial.exits.placement == "none" else [trial.regime],
        "teacher": [teacher.architecture.name] if teacher else [],
        "teacher_seed": [teacher.seed] if teacher else [],
    }
    if teacher and teacher.architecture == trial.architecture:
        held["teacher"].append(SELF)
    if field in held:
        return set(held[field])
    prefix, _, setting = field.rpartition(".")
    part = trial.recipe if prefix else method
    if setting not in part.field_infos() or setting in part.inactive_fields():
        return set()
    return {getattr(part, setting)}


def _placement(written: str, trial: TrialSpec) -> str | None:
    """Return a placement in canonical form; None if the architecture of the trial has no such placement."""
    try:
        return canonical(written, trial.layout)
    except SpecError:
        return None
