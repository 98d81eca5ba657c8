"""Plan of a sweep as data: its configurations, its trials, and the search that tunes them."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..specs import canonical_json, configuration_id, trial_key, with_images
from .plugins import Plugin
from .records import Record

Role = Literal["result", "teacher", "backbone", "search"]
CostUnit = Literal["device-hours", "joules"]
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
class Price:
    """Price of a device-hour, named in the sweep file."""

    amount: float
    """Price of one device-hour in the currency."""
    currency: str = ""
    """Name of the currency, such as `EUR`; empty if not named."""

    def of(self, device_hours: float) -> str:
        """Return the price of device-hours as text, such as `3.75 EUR`."""
        return f"{self.amount * device_hours:,.2f} {self.currency}".rstrip()

    def __str__(self) -> str:
        return f"{f'{self.amount:g} {self.currency}'.rstrip()} per device-hour"


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
    price: Price | None = None
    """Price of a device-hour; None if not named."""

    @property
    def command(self) -> Literal["sweep", "search"]:
        """Command that runs the sweep."""
        return "sweep" if self.search is None else "search"
