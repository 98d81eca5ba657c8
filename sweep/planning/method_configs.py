"""The ways of training a network that a file's `methods` describe: each method with each combination of its axes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from ...losses import Method, TeacherRequirement, methods
from ...models import ExitSpec, architectures, heads
from ...specs import Range, Spec, SpecError, unknown
from .parsing import AxisValues, choices, field_names, refuse_unknown_keys, validated
from .yaml_document import Document, Place

SELF = "self"
"""As a teacher: the student's own architecture."""

TEACHER_KEYS: dict[TeacherRequirement, list[str]] = {
    "ignored": [],
    "self": ["teacher_seed"],
    "required": ["teacher", "teacher_seed"],
}
"""What a method's section may say of its teacher."""


@dataclass(frozen=True, kw_only=True)
class _Exits(Spec):
    """The keys of a method that trains exits."""

    exits: str
    head: str = "conv"

    def __post_init__(self) -> None:
        super().__post_init__()
        heads[self.head]


@dataclass(frozen=True, kw_only=True)
class Teacher(Spec):
    """The keys of a method that has a teacher."""

    teacher: str
    """An architecture or `self`, to be trained by the sweep, or with trained weights: `resnet50@weights/r50.pt`."""
    teacher_seed: Annotated[int, Range(minimum=0, maximum=2**32 - 1)] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.architecture != SELF and self.architecture not in architectures:
            raise unknown("teacher", self.architecture, (SELF, *architectures), field="teacher")
        if self.teacher.endswith("@"):
            raise SpecError(f"{self.teacher!r} names no file behind the @.", field="teacher")

    @property
    def architecture(self) -> str:
        """What stands before the @."""
        return self.teacher.partition("@")[0]

    @property
    def file(self) -> str:
        """With trained weights; empty if there is none."""
        return self.teacher.partition("@")[2]


@dataclass(frozen=True, kw_only=True)
class MethodConfig:
    """One way of training a network, before it meets an architecture and a seed."""

    method: Method
    exits: ExitSpec
    teacher: Teacher | None
    choice: AxisValues
    """What the file says of it."""
    section: Place
    """Where in the file it is said."""

    def place(self, field: str | None) -> Place:
        """Where in the file a field of the trial is said."""
        return (*self.section, *self.choice.place("exits" if field == "placement" else field or ""))


EXIT_KEYS = _Exits.field_infos()
"""What a method's section may say of its exits."""


def read_method_configs(
    written: Mapping[str, Mapping[str, Any] | None], document: Document, place: Place
) -> Iterator[MethodConfig]:
    """Every combination of values in the sections of `methods`. Raises `DocumentError` for the first mistake."""
    for name, section in written.items():
        yield from _ways(name, dict(section or {}), document, (*place, name))


def method_config(way: MethodConfig, values: Mapping[str, Any], document: Document) -> MethodConfig:
    """The way with these values in its section of the file. Raises `DocumentError` where they do not fit."""
    choice = AxisValues(values={**way.choice.values, **values}, positions=way.choice.positions)
    return _way(type(way.method), choice, document, way.section)


def _ways(name: str, section: dict[str, Any], document: Document, place: Place) -> Iterator[MethodConfig]:
    if name not in methods:
        raise document.error(place, str(unknown("method", name, methods)))
    kind = methods[name]
    exit_keys = [] if kind.exits == "ignored" else [*EXIT_KEYS]
    refuse_unknown_keys(section, [*field_names(kind), *exit_keys, *TEACHER_KEYS[kind.teacher]], document, place)
    for choice in choices(section, kind, document, place):
        yield _way(kind, choice, document, place)


def _way(kind: type[Method], choice: AxisValues, document: Document, place: Place) -> MethodConfig:
    values = {"exits": "all" if kind.exits == "required" else "none", **choice.values}
    if kind.teacher == "self":
        values["teacher"] = SELF
    if isinstance(values["exits"], int):  # a stage's number written without quotes
        values["exits"] = str(values["exits"])

    def part(spec: type[Any]) -> Any:
        own = {key: value for key, value in values.items() if key in field_names(spec)}
        return validated(spec, own, document, place, choice)

    exits = part(_Exits)
    return MethodConfig(
        method=part(kind).canonical(),
        exits=ExitSpec(placement=exits.exits, head=exits.head),
        teacher=part(Teacher) if TEACHER_KEYS[kind.teacher] else None,
        choice=choice,
        section=place,
    )
