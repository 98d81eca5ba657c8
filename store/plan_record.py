"""Plan of a sweep as data: `sweeps/NAME/plan.json`, which every command that reads results uses."""

import functools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, cast, get_args

from ..specs import canonical_json, configuration_id, is_printable, trial_key, with_images
from .directory import Directory
from .plugins import Plugin, keep_plugins, kept_plugins
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

Role = Literal["result", "teacher", "backbone", "search"]
PLAN_FILE, SWEEP_FILE = "plan.json", "sweep.yaml"
TRACKING = ("mlflow",)
"""Programs that trials are recorded in, unless the sweep file names more."""


@dataclass(frozen=True, kw_only=True)
class TuningInfo:
    """Search from which the settings of a final trial come, or with whose best settings they are compared."""

    tuning: str
    """`default`, `tuned` or `default and tuned`; for a Pareto front also the trial of the settings."""
    budget: str
    """Search budget of each method, as text."""
    tried: str
    """Final states of the search trials of this method, as text."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Spec of everything that is compared: trials of one configuration differ only in their seed."""

    spec: Record
    """Canonical spec of its trials, without the seed."""
    settings: tuple[str, ...] = ()
    """Settings of method, exits and teacher that vary in this sweep, in the words of its file: `output_loss=kl`."""
    row_settings: tuple[str, ...] = ()
    """Settings of dataset and recipe that vary in this sweep: `epochs=60`."""
    exits: str = "none"
    """Placement of the exits as first written in the sweep file."""
    reported: str
    """Description of the protocol: the reported epoch and the images of its evaluation."""
    cost: float
    """Multiply-adds of one trial's training."""
    weights: str = ""
    """Path of the file with the teacher's weights; empty if no file teaches."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Paths of the training and test images of a folder with a name; empty for other datasets."""
    backbone: str = ""
    """ID of the configuration whose weights, of the same seed, the backbone starts with; empty if there is none."""
    seeds: int = 1
    """Number of seeds that the sweep plans."""

    @functools.cached_property
    def id(self) -> str:
        """Content hash of the spec."""
        return configuration_id(self.spec)

    @property
    def label(self) -> str:
        """Method and the settings that vary, for people: `eed output_loss=kl, temperature=3`."""
        return f"{self.method} {', '.join(self.settings)}".strip()

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.spec["dataset"]["name"]

    @property
    def architecture(self) -> str:
        """Name of the architecture."""
        return self.spec["architecture"]["name"]

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.spec["method"]["name"]

    @property
    def epochs(self) -> int:
        """Number of epochs of each trial."""
        return self.spec["recipe"]["epochs"]

    @property
    def teacher(self) -> Record | None:
        """Spec of the teacher: of a trial, or of a weights file with its `sha256`; None without a teacher."""
        return self.spec.get("teacher")

    @functools.cached_property
    def teacher_key(self) -> str | None:
        """Key of the trial that teaches; None without a teacher, or if it comes from a file."""
        teacher = self.teacher
        return None if teacher is None or "sha256" in teacher else trial_key(teacher)

    @property
    def space(self) -> tuple[str, str]:
        """Method and architecture: a search tunes the settings of each such pair on its own."""
        return self.method, self.architecture

    @functools.cached_property
    def memory_group(self) -> str:
        """Group of configurations whose trials need the same memory."""
        spec, recipe = self.spec, self.spec["recipe"]
        method = self.method, spec["method"].get("networks")
        teacher = (self.teacher or {}).get("architecture")
        batch = [recipe.get(name) for name in ("batch_size", "accumulation", "precision", "compile", "optimizer")]
        averages = recipe.get("ema_decay", 0) > 0
        return canonical_json(
            [spec["dataset"], spec["architecture"], spec.get("exits"), method, teacher, batch, averages]
        )

    @functools.cached_property
    def cost_groups(self) -> tuple[tuple[str, ...], ...]:
        """Groups of configurations with similar epoch times that contain this one, the most similar first."""
        exits = self.spec.get("exits", {})
        how = f"{exits.get('placement')} {exits.get('head')} {self.spec.get('regime', 'joint')}"
        group = self.dataset, self.architecture, self.method, how
        return tuple(group[:length] for length in range(len(group), -1, -1))


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """One training of a plan: a configuration with a seed."""

    configuration: Configuration
    seed: int
    role: Role
    """`result`: a row of the tables. `teacher` and `backbone`: trained only for others. `search`: tries settings."""
    order: int
    """Position in the order of the file, which tables follow."""
    seed_index: int = 0
    """Index of the seed among those of the configuration; for a search, number of the trial in its study."""
    confirmed: TuningInfo | None = None
    """Search behind a final trial of a search; None for other trials."""
    tried: str = ""
    """Settings that a search trial tries, as text; empty for other trials."""

    @functools.cached_property
    def key(self) -> str:
        """Key of the trial in the trial store."""
        return f"{self.configuration.id}-s{self.seed}"

    @property
    def spec(self) -> Record:
        """Canonical spec of the trial."""
        return self.configuration.spec | {"seed": self.seed}

    @property
    def located_spec(self) -> Record:
        """Spec of the trial with the paths of its teacher's weights and of its images, for a worker."""
        about = self.configuration
        teacher = {"teacher": {**(about.teacher or {}), "path": about.weights}} if about.weights else {}
        return with_images(self.spec | teacher, about.images)

    @functools.cached_property
    def depends_on(self) -> tuple[str, ...]:
        """Keys of the trials that must be completed first: those of teacher and backbone."""
        return tuple(key for key in (self.configuration.teacher_key, self.backbone_key) if key is not None)

    @property
    def backbone_key(self) -> str | None:
        """Key of the trial whose weights the backbone starts with; None if there is none."""
        backbone = self.configuration.backbone
        return f"{backbone}-s{self.seed}" if backbone else None

    @property
    def label(self) -> str:
        """Label of the configuration; in a search also the settings that are tried, or `tuned` or `default`."""
        about = self.configuration
        if self.tried:
            return f"{about.method} ({self.tried})"
        return about.label if self.confirmed is None else f"{about.label}, {self.confirmed.tuning}"

    def __str__(self) -> str:
        about = self.configuration
        where = ", ".join((about.architecture, *about.row_settings, about.dataset))
        names = [f"trial {self.seed_index}"] * bool(self.tried)
        names += [f"seed {self.seed}"] * (not self.tried or about.seeds > 1)
        return f"{self.label}, {where}, {', '.join(names)}"


@dataclass(frozen=True, kw_only=True)
class Margins:
    """Differences that matter, named in the sweep file, in the unit of the reported metric."""

    detect: float | None = None
    """Smallest difference that the sweep should detect; None if not named."""
    spread: float | None = None
    """Standard deviation of paired differences, expected before the sweep; None if not named."""
    equivalent: float | None = None
    """Largest difference with which a method counts as equal to the baseline; None if not named."""


@dataclass(frozen=True, kw_only=True)
class SearchRecord:
    """The search of a sweep as data: its budget and its studies."""

    budget: int | None
    """Number of trials of each study, one for each seed of a suggestion; None if the budget is `seconds`."""
    seconds: float | None
    """Device-seconds of training of each study; None if the budget is a number of trials."""
    scoring: str
    """Sampler, objectives and share of the validation images, as text."""
    studies: str | None
    """URL of the database with the studies, without a password; None for a journal in the storage."""
    spaces: Mapping[str, str]
    """Search space `METHOD/ARCHITECTURE` of each study, by the name of the study, in the order of the file."""

    @property
    def effort(self) -> str:
        """Budget and scoring, as text for captions."""
        trials = "1 trial" if self.budget == 1 else f"{self.budget} trials"
        much = trials if self.seconds is None else f"{self.seconds / 3600:.3g} device-hours"
        return f"{much} {self.scoring}"


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


def _is_configuration(value: object) -> bool:
    """Check a configuration; plans of earlier versions have no backbones and no named folders of images."""
    if not shaped(**_CONFIGURATION)(value):
        return False
    record = cast("Record", value)
    return is_text(record.get("backbone", "")) and object_of(is_text)(record.get("images", {}))


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


_MARGINS: dict[str, Check] = dict.fromkeys(("detect", "spread", "equivalent"), optional(_is_difference))

PLAN = RecordFile(
    required={
        "name": is_text,
        "search": optional(shaped(**_SEARCH)),
        "stopping": optional(is_object),
        "configurations": object_of(_is_configuration),
        "trials": list_of(shaped(**_TRIAL)),
        "coming": list_of(shaped(**_TRIAL, number=is_count)),
    },
    optional={"margins": shaped(**_MARGINS)},  # plans of earlier versions have none
    compact=True,
    remedy="Run the sweep again; it writes the file anew.",
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Trials of a sweep; each teacher comes before its students."""

    name: str
    """Name of the sweep."""
    search: SearchRecord | None
    """Search that tunes the methods; None without one."""
    text: str
    """Content of the sweep file, in which weights have absolute paths."""
    plugins: tuple[Plugin, ...]
    """Plugins that define names in the sweep file."""
    stopping: Record | None
    """Rule that stops trials early; None if all trials are trained to the end."""
    trials: tuple[PlannedTrial, ...]
    """Trials in their execution order."""
    coming: tuple[tuple[PlannedTrial, int], ...] = ()
    """Examples and numbers of the trials that an unfinished search will still add."""
    margins: Margins = Margins()
    """Differences that matter; tables and reports use them."""
    tracking: tuple[str, ...] = TRACKING
    """Programs that the trials are recorded in."""

    @property
    def command(self) -> Literal["sweep", "search"]:
        """Command that runs the sweep."""
        return "sweep" if self.search is None else "search"

    def save(self, directory: Directory) -> None:
        """Write the plan, its sweep file and its plugins to the directory of the sweep."""
        keep_plugins(directory, self.plugins)
        examples = [trial for trial, _ in self.coming]
        configurations = {trial.configuration.id: trial.configuration for trial in (*self.trials, *examples)}
        PLAN.write(
            directory,
            PLAN_FILE,
            {
                "name": self.name,
                "search": self.search and {name: getattr(self.search, name) for name in _SEARCH},
                "stopping": self.stopping,
                "configurations": {
                    id: {name: getattr(configuration, name) for name in (*_CONFIGURATION, "backbone")}
                    for id, configuration in configurations.items()
                },
                "trials": [_described(trial) for trial in self.trials],
                "coming": [_described(trial) | {"number": number} for trial, number in self.coming],
                "margins": asdict(self.margins),
                "tracking": self.tracking,
            },
        )
        directory.write(SWEEP_FILE, self.text.encode())  # last: with this file the sweep counts as launched

    @classmethod
    def load(cls, directory: Directory) -> Self | None:
        """Return the plan in the directory of a sweep; None if there is none.

        Raises:
            DamagedFileError: if the file is no plan, or a configuration differs from its ID.
            NewerFormatError: if a later release has written it.
        """
        record = PLAN.read(directory, PLAN_FILE)
        if record is None:
            return None
        configurations = {id: _configuration(content) for id, content in record["configurations"].items()}
        try:
            wrong = [f"configuration {id} is {found.id}" for id, found in configurations.items() if found.id != id]
        except (ValueError, RecursionError) as error:  # NaN, or nested deeper than any spec
            wrong = [str(error)]
        named = {trial["configuration"] for trial in (*record["trials"], *record["coming"])}
        wrong += [f"a trial has the unknown configuration {id}" for id in sorted(named - configurations.keys())]
        tracking = record.get("tracking", [*TRACKING])  # plans of earlier versions have none
        if not list_of(is_text)(tracking):
            wrong.append("tracking is not a list of names")
        if wrong:
            raise PLAN.damaged(directory, PLAN_FILE, wrong[0])
        return cls(
            name=record["name"],
            search=record["search"] and SearchRecord(**{name: record["search"][name] for name in _SEARCH}),
            text=(directory.read(SWEEP_FILE) or b"").decode(errors="replace"),
            plugins=kept_plugins(directory),
            stopping=record["stopping"],
            trials=tuple(_trial(content, configurations) for content in record["trials"]),
            coming=tuple((_trial(content, configurations), content["number"]) for content in record["coming"]),
            margins=Margins(**{name: value for name, value in record.get("margins", {}).items() if name in _MARGINS}),
            tracking=tuple(tracking),
        )


def _configuration(content: Mapping[str, Any]) -> Configuration:
    values: dict[str, Any] = {name: content[name] for name in _CONFIGURATION}
    values["backbone"] = content.get("backbone", "")
    values |= {name: tuple(content[name]) for name in ("settings", "row_settings")}
    return Configuration(**values)


def _described(trial: PlannedTrial) -> Record:
    confirmed = trial.confirmed and asdict(trial.confirmed)
    return {
        "configuration": trial.configuration.id,
        "seed": trial.seed,
        "role": trial.role,
        "order": trial.order,
        "seed_index": trial.seed_index,
        "confirmed": confirmed,
        "tried": trial.tried,
    }


def _trial(content: Mapping[str, Any], configurations: Mapping[str, Configuration]) -> PlannedTrial:
    about = content["confirmed"]
    confirmed = about and TuningInfo(tuning=about["tuning"], budget=about["budget"], tried=about["tried"])
    own = {name: content[name] for name in ("seed", "role", "order", "seed_index", "tried")}
    return PlannedTrial(configuration=configurations[content["configuration"]], confirmed=confirmed, **own)
