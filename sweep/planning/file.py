"""The sweep file: what a researcher writes, checked whole before anything runs."""

import functools
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Self, get_args

import pydantic

from ...losses import Baseline, Method, TeacherNeed, methods
from ...models import ArchitectureSpec, ExitSpec, architectures, heads
from ...specs import Range, Spec, SpecError, require, unknown
from ...training import DatasetSpec, Recipe, TrialSpec, datasets, recipes
from ...training.teacher import trained_weights
from ...training.trial import Protocol, TrainedWeights
from .document import Document, Place
from .resources import Resources
from .stopping import Rule, Stopping
from .validation import Choice, axis, choices, field_names, names, refuse_unknown_keys, validated

SELF = "self"
"""As a teacher: the student's own architecture."""

TEACHER_KEYS: dict[TeacherNeed, list[str]] = {
    "ignored": [],
    "self": ["teacher_seed"],
    "required": ["teacher", "teacher_seed"],
}
"""What a method's section may say of its teacher."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a sweep file asks for."""

    name: str
    trials: tuple[TrialSpec, ...]
    """In the file's order; one experiment may be asked for in several ways."""
    seeds: int
    """How many seeds each configuration is trained with."""
    resources: Resources
    stopping: Stopping | None
    """None where every trial trains to its last epoch."""
    text: str
    """The file as it was written, but that it names files of weights by their absolute paths."""


def _file_name(name: str) -> str:
    """A sweep's name is a folder's too, and cannot lead out of the storage."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        rule = "a name begins with a letter or digit and goes on with up to 99 of these, '.', '_' and '-'"
        raise SpecError(f"{rule}, but got {name!r}.")
    return name


class _Written(pydantic.BaseModel):
    """The keys of a sweep file. A list where one value is expected is an axis."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, pydantic.AfterValidator(_file_name)]
    dataset: Any
    architectures: Any
    seeds: list[Annotated[int, pydantic.Field(ge=0, lt=2**32)]]
    methods: dict[str, dict[str, Any] | None]
    recipe: Any = "paper"
    protocol: Protocol = "final"
    validation: Annotated[float, pydantic.Field(ge=0, le=0.9)] = 0.0
    resources: Any = {}
    stopping: Any = "none"

    @pydantic.model_validator(mode="after")
    def _is_tuned_on_images(self) -> Self:
        held_out = self.protocol != "tuning" or self.validation > 0
        require(held_out, "validation > 0 with protocol tuning", validation=self.validation)
        return self


@dataclass(frozen=True, kw_only=True)
class _Exits(Spec):
    """The keys of a method that trains exits."""

    exits: str
    head: str = "conv"

    def __post_init__(self) -> None:
        super().__post_init__()
        heads[self.head]


@dataclass(frozen=True, kw_only=True)
class _Teacher(Spec):
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
        return self.teacher.partition("@")[0]

    @property
    def file(self) -> str:
        """With trained weights; empty if there is none."""
        return self.teacher.partition("@")[2]


@dataclass(frozen=True, kw_only=True)
class _Way:
    """One way of training a network, before it meets an architecture and a seed."""

    method: Method
    exits: ExitSpec
    teacher: _Teacher | None
    place: Place
    choice: Choice


def read_sweep(path: Path) -> Sweep:
    """Reads and checks a sweep file.

    Raises:
        DocumentError: for the first mistake, with its place in the file and what could stand there instead.
    """
    document = Document(path)
    written = validated(_Written, document.content, document)
    axis(written.seeds, document, ("seeds",))
    ways = [
        way for name in axis(list(written.methods), document, ("methods",)) for way in _ways(name, written, document)
    ]
    combinations = itertools.product(
        [DatasetSpec(name=name) for name in names(datasets, written.dataset, document, ("dataset",))],
        list(_recipes(written.recipe, document)),
        [
            ArchitectureSpec(name=name)
            for name in names(architectures, written.architectures, document, ("architectures",))
        ],
        ways,
    )
    weights = functools.cache(trained_weights)  # a file is read once
    trials = (trial for combination in combinations for trial in _trials(*combination, written, document, weights))
    planned = tuple(trials)
    return Sweep(
        name=written.name,
        trials=planned,
        seeds=len(set(written.seeds)),
        resources=validated(Resources, written.resources, document, ("resources",)),
        stopping=_stopping(written, document, most_epochs=max(trial.recipe.epochs for trial in planned)),
        text=_with_absolute_paths(ways, document),
    )


def _stopping(written: _Written, document: Document, *, most_epochs: int) -> Stopping | None:
    """The rule named or described, which must have something to judge by and somebody to stop."""
    place: Place = ("stopping",)
    section = written.stopping
    if not isinstance(section, dict):
        rules = ("none", *get_args(Rule))
        if section not in rules:
            raise document.error(place, str(unknown("rule", section, rules)))
        if section == "none":
            return None
        section = {"rule": section}
    stopping = validated(Stopping, section, document, place)
    try:
        judged = "validation > 0 with stopping, since the test set must not decide"
        require(written.validation > 0, judged, validation=written.validation)
        require(stopping.grace < most_epochs, "grace < epochs", grace=stopping.grace, epochs=most_epochs)
    except SpecError as error:
        raise document.error((*place, error.field or "") if error.field in section else place, str(error)) from error
    return stopping.canonical()


def _recipes(written: object, document: Document) -> Iterator[Recipe]:
    """The recipes named or described; each is resolved to all of its fields."""
    for position, item in enumerate(axis(written, document, ("recipe",))):
        place = ("recipe", position) if isinstance(written, list) else ("recipe",)
        section = item if isinstance(item, dict) else {"base": item}
        base = section.get("base", "paper")
        if base not in recipes:
            at = (*place, "base") if isinstance(item, dict) and "base" in item else place
            raise document.error(at, str(unknown("recipe", base, recipes)))
        settings = {name: value for name, value in section.items() if name != "base"}
        refuse_unknown_keys(settings, ["base", *field_names(Recipe)], document, place)
        for choice in choices(settings, Recipe, document, place):
            complete = {**recipes[base].to_dict(), **choice.values}
            yield validated(Recipe, complete, document, place, choice)


def _ways(name: str, written: _Written, document: Document) -> Iterator[_Way]:
    """Every combination of the values in a method's section."""
    place: Place = ("methods", name)
    if name not in methods:
        raise document.error(place, str(unknown("method", name, methods)))
    kind, section = methods[name], written.methods[name] or {}
    exit_keys = [] if kind.exits == "ignored" else field_names(_Exits)
    teacher_keys = TEACHER_KEYS[kind.teacher]
    refuse_unknown_keys(section, [*field_names(kind), *exit_keys, *teacher_keys], document, place)
    for choice in choices(section, kind, document, place):
        values = {"exits": "all" if kind.exits == "required" else "none", **choice.values}
        if kind.teacher == "self":
            values["teacher"] = SELF
        if isinstance(values["exits"], int):  # a stage's number written without quotes
            values["exits"] = str(values["exits"])

        def part(spec: type[Any], values: dict[str, Any] = values, choice: Choice = choice) -> Any:
            own = {key: value for key, value in values.items() if key in field_names(spec)}
            return validated(spec, own, document, place, choice)

        exits = part(_Exits)
        yield _Way(
            method=part(kind),
            exits=ExitSpec(placement=exits.exits, head=exits.head),
            teacher=part(_Teacher) if teacher_keys else None,
            place=place,
            choice=choice,
        )


def _trials(
    dataset: DatasetSpec,
    recipe: Recipe,
    architecture: ArchitectureSpec,
    way: _Way,
    written: _Written,
    document: Document,
    weights: Callable[[Path, ArchitectureSpec, DatasetSpec], TrainedWeights],
) -> list[TrialSpec]:
    """One trial per seed."""
    plain = TrialSpec(
        dataset=dataset,
        architecture=architecture,
        method=Baseline(),
        recipe=recipe,
        protocol=written.protocol,
        validation=written.validation,
    )
    teacher = None
    try:
        if way.teacher is not None:
            trunk = (
                architecture if way.teacher.architecture == SELF else ArchitectureSpec(name=way.teacher.architecture)
            )
            if way.teacher.file:
                teacher = weights(_weights_path(way.teacher.file, document), trunk, dataset)
            else:
                teacher = replace(plain, architecture=trunk, seed=way.teacher.teacher_seed).canonical()
        first = replace(plain, method=way.method, exits=way.exits, teacher=teacher).canonical()
    except SpecError as error:
        key = "exits" if error.field == "placement" else error.field
        place = (*way.place, *way.choice.place(key or ""))
        raise document.error(place, f"for {architecture.name}, {error}") from error
    return [replace(first, seed=seed, teacher=teacher) for seed in written.seeds]


def _weights_path(file: str, document: Document) -> Path:
    """Of a file that is named as seen from the sweep file."""
    return document.path.absolute().parent / Path(file).expanduser()


def _with_absolute_paths(ways: list[_Way], document: Document) -> str:
    """The file's text, to be read from anywhere."""
    text = document.text
    for file in {way.teacher.file for way in ways if way.teacher and way.teacher.file}:
        text = text.replace(f"@{file}", f"@{_weights_path(file, document)}")
    return text
