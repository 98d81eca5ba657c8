"""The keys of a sweep file that apply to all its trials."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, get_args

import pydantic

from ...losses import Baseline
from ...specs import SpecError, require, unknown
from ...store import Margins
from ...training.trial import Protocol
from ..tracking.catalog import MLFLOW, TRACKERS, require_package
from .detect import Detect
from .exclude import Exclusions
from .parsing import AxisValues, field_names, validated
from .resource_rules import ResourceRules
from .search_part import TunedConfig, read_search
from .search_space import SearchPlan
from .stopping import Rule, Stopping
from .yaml_document import Document, Place

Order = Literal["breadth-first", "cheap-first", "file"]


NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
"""Regular expression of the name of a sweep."""


def _file_name(name: str) -> str:
    """Return a valid sweep name, which is also a directory name and must not lead out of the storage."""
    if not re.fullmatch(NAME, name):
        rule = "a name begins with a letter or digit and has up to 99 more letters, digits, '.', '_' and '-'"
        raise SpecError(f"{rule}, but got {name!r}.")
    return name


class Settings(pydantic.BaseModel):
    """The keys of a sweep file that apply to all its trials."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, pydantic.AfterValidator(_file_name)]
    protocol: Protocol = "final"
    validation: Annotated[float, pydantic.Field(ge=0, le=0.9)] = 0.0
    resources: Any = {}
    stopping: Any = "none"
    order: Order = "breadth-first"
    exclude: Any = []
    search: Any = None
    detect: Any = None
    equivalent: Annotated[float, pydantic.Field(gt=0, le=100)] | None = None
    tracking: Any = (MLFLOW,)
    max_trials: Annotated[int, pydantic.Field(ge=1)] = 200_000

    @pydantic.model_validator(mode="after")
    def _is_tuned_on_images(self) -> Self:
        held_out = self.protocol != "tuning" or self.validation > 0
        require(held_out, "validation > 0 with protocol tuning", validation=self.validation)
        confirms = self.search is None or self.protocol == "final"
        require(confirms, "protocol is final with search, which tests only the best settings", protocol=self.protocol)
        return self


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """Settings of a file that do not depend on its trials."""

    keys: Settings
    resources: ResourceRules
    exclusions: Exclusions


def read_settings(document: Document) -> SweepSettings:
    """Return the settings of a file. The document notes the mistakes, and a default takes the place of each."""
    written = {key: document.content[key] for key in field_names(Settings) if key in document.content}
    keys, exclusions = Settings.model_construct(name=""), Exclusions([], document)
    resources = ResourceRules({}, document)
    with document.noting():
        keys = validated(Settings, written, document)
    with document.noting():
        resources = ResourceRules(written.get("resources", {}), document)
    with document.noting():
        exclusions = Exclusions(written.get("exclude", []), document)
    return SweepSettings(keys=keys, resources=resources, exclusions=exclusions)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Rules by which trials are judged, and the programs that record them."""

    stopping: Stopping | None = None
    search: SearchPlan | None = None
    margins: Margins
    tracking: tuple[str, ...] = (MLFLOW,)


def read_evaluation(settings: Settings, candidates: Sequence[TunedConfig], document: Document) -> Evaluation:
    """Return how the trials of a file are judged. Raises `DocumentError` for all mistakes."""
    stopping, search, margins, tracking = None, None, Margins(), (MLFLOW,)
    with document.noting():
        stopping = _stopping(settings, document, most_epochs=max(asked.trial.recipe.epochs for asked in candidates))
    with document.noting():
        search = _search(settings, candidates, document)
    with document.noting():
        margins = _margins(settings, candidates, document)
    with document.noting():
        tracking = _tracking(settings.tracking, document)
    document.check()
    return Evaluation(stopping=stopping, search=search, margins=margins, tracking=tracking)


def _search(settings: Settings, candidates: Sequence[TunedConfig], document: Document) -> SearchPlan | None:
    """Return the search of a file, which trains under the regime `joint` only."""
    if settings.search is None:
        return None
    for asked in candidates:
        if asked.trial.regime != "joint":
            problem = "a search trains under the regime joint only; remove `regime`, or the section `search`."
            raise document.error(asked.way.place("regime"), problem)
    judges_early = settings.stopping != "none"
    return read_search(settings.search, candidates, settings.validation, document, judges_early=judges_early)


def _margins(written: Settings, candidates: Sequence[TunedConfig], document: Document) -> Margins:
    """Return the differences that matter, which refer to a baseline."""
    section = written.detect
    for key in ("detect", "equivalent"):
        if getattr(written, key) is not None and not any(isinstance(one.trial.method, Baseline) for one in candidates):
            problem = f"refers to a difference from the method 'baseline', which is missing; add it, or remove {key!r}."
            raise document.error((key,), problem)
    if section is None:
        return Margins(equivalent=written.equivalent)
    found = (
        validated(Detect, section, document, ("detect",))
        if isinstance(section, dict)
        else validated(Detect, {"difference": section}, document, ("detect",), AxisValues(values={}))
    )
    return Margins(detect=found.difference, spread=found.spread, equivalent=written.equivalent)


def _tracking(written: object, document: Document) -> tuple[str, ...]:
    """Return the trackers of a file: a name or a list of names with MLflow, whose packages are installed."""
    found: list[str] = []
    try:
        for name in written if isinstance(written, list | tuple) else [written]:
            if not isinstance(name, str) or name not in (MLFLOW, *TRACKERS):
                raise unknown("tracker", str(name), (MLFLOW, *TRACKERS))
            if name != MLFLOW:
                require_package(name)
            found.append(name)
        if MLFLOW not in found:
            raise SpecError(f"{MLFLOW} is missing, which tables are built from; write [{', '.join((MLFLOW, *found))}]")
    except SpecError as error:
        raise document.error(("tracking",), str(error)) from error
    return tuple(dict.fromkeys(found))


def _stopping(written: Settings, document: Document, *, most_epochs: int) -> Stopping | None:
    """Return the stopping rule of a file, which requires validation images and more epochs than `grace`."""
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
        judged = "validation > 0 with stopping, since the test set must not be used"
        held_out = written.validation > 0 or written.search is not None
        require(held_out, judged, validation=written.validation)
        require(stopping.grace < most_epochs, "grace < epochs", grace=stopping.grace, epochs=most_epochs)
    except SpecError as error:
        raise document.error((*place, error.field or "") if error.field in section else place, str(error)) from error
    return stopping.canonical()
