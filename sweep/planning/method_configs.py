"""The configurations in the `methods` of a file: each method with each combination of its axes."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from ...losses import Method, TeacherRequirement, methods
from ...models import ExitSpec, architectures, heads
from ...specs import Range, Spec, SpecError, unknown
from ...specs.user_code import UserCodeError, user_code
from ...training.trial import Regime
from .parsing import AxisValues, axes, choices, field_names, refuse_unknown_keys, validated
from .yaml_document import Document, Place

SELF = "self"
"""Name of a teacher with the student's own architecture."""

TEACHER_KEYS: dict[TeacherRequirement, list[str]] = {
    "ignored": [],
    "self": ["teacher_seed"],
    "required": ["teacher", "teacher_seed"],
}
"""Keys for the teacher in the section of a method, by the method's requirement."""


@dataclass(frozen=True, kw_only=True)
class _Exits(Spec):
    """The keys for exits in the section of a method."""

    exits: str
    head: str = "conv"
    gradient_equilibrium: bool = False
    regime: Regime = "joint"

    def __post_init__(self) -> None:
        super().__post_init__()
        heads.check(self.head)


@dataclass(frozen=True, kw_only=True)
class Teacher(Spec):
    """The keys for the teacher in the section of a method."""

    locations: ClassVar[frozenset[str]] = frozenset({"teacher"})

    teacher: str
    """Architecture of the teacher, or `self` for the student's; with trained weights: `resnet50@weights/r50.pt`.

    Without weights, the sweep trains the teacher.
    """
    teacher_seed: Annotated[int, Range(minimum=0, maximum=2**32 - 1)] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.architecture != SELF and self.architecture not in architectures:
            raise unknown("teacher", self.architecture, (SELF, *architectures), field="teacher")
        if self.teacher.endswith("@"):
            raise SpecError(f"{self.teacher!r} has no file after the @; write ARCHITECTURE@FILE.", field="teacher")

    @property
    def architecture(self) -> str:
        """Name of the architecture, before the @."""
        return self.teacher.partition("@")[0]

    @property
    def file(self) -> str:
        """Path of the trained weights, after the @; empty without weights."""
        return self.teacher.partition("@")[2]


@dataclass(frozen=True, kw_only=True)
class MethodConfig:
    """One method with its settings, exits and teacher, without architecture and seed."""

    method: Method
    exits: ExitSpec
    regime: Regime
    teacher: Teacher | None
    written: Method
    """Settings as written, not in canonical form."""
    choice: AxisValues
    """Values of the configuration in the file."""
    section: Place
    """Place of the method's section in the file."""

    def place(self, field: str | None) -> Place:
        """Return the place in the file of a field of the trial."""
        return (*self.section, *self.choice.place("exits" if field == "placement" else field or ""))


EXIT_KEYS = _Exits.field_infos()
"""Keys for exits in the section of a method."""


def read_method_configs(
    written: Mapping[str, Mapping[str, Any] | None], document: Document, place: Place
) -> Iterator[MethodConfig]:
    """Iterate over all combinations of values in `methods`. The document notes the mistakes."""
    for name, section in written.items():
        with document.noting():
            yield from _ways(name, dict(section or {}), document, (*place, name))


def method_config(way: MethodConfig, values: Mapping[str, Any], document: Document) -> MethodConfig:
    """Return the configuration with these values in its section. Raises `DocumentError` for invalid values."""
    choice = AxisValues(values={**way.choice.values, **values}, positions=way.choice.positions)
    return _way(type(way.method), choice, document, way.section)


def number_of_configs(written: Mapping[str, Mapping[str, Any] | None]) -> int:
    """Return the number of combinations that `read_method_configs` iterates over."""
    known = {name: section or {} for name, section in written.items() if name in methods}
    return sum(math.prod(map(len, axes(section, methods[name]).values())) for name, section in known.items())


def _ways(name: str, section: dict[str, Any], document: Document, place: Place) -> Iterator[MethodConfig]:
    if name not in methods:
        raise document.error(place, str(unknown("method", name, methods)))
    kind = methods[name]
    exit_keys = [] if kind.exits == "ignored" else [*EXIT_KEYS]
    refuse_unknown_keys(section, [*field_names(kind), *exit_keys, *TEACHER_KEYS[kind.teacher]], document, place)
    for choice in choices(section, kind, document, place):
        with document.noting():
            yield _way(kind, choice, document, place)


def _way(kind: type[Method], choice: AxisValues, document: Document, place: Place) -> MethodConfig:
    values = {"exits": "all" if kind.exits == "required" else "none", **choice.values}
    if kind.teacher == "self":
        values["teacher"] = SELF
    if isinstance(values["exits"], int):  # YAML reads the number of a stage as an integer
        values["exits"] = str(values["exits"])

    def part(spec: type[Any]) -> Any:
        own = {key: value for key, value in values.items() if key in field_names(spec)}
        return validated(spec, own, document, place, choice)

    try:
        with user_code(f"the settings of method {place[-1]!r}", kind):
            written = part(kind)
            method = written.canonical()
    except UserCodeError as error:
        raise document.error(place, str(error)) from error
    exits = part(_Exits)
    return MethodConfig(
        method=method,
        written=written,
        exits=ExitSpec(placement=exits.exits, head=exits.head, gradient_equilibrium=exits.gradient_equilibrium),
        regime=exits.regime,
        teacher=part(Teacher) if TEACHER_KEYS[kind.teacher] else None,
        choice=choice,
        section=place,
    )
