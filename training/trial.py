"""Complete spec of one training run, which is stored, hashed and passed to a worker."""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal, Self

from ..losses import Baseline, Method, methods
from ..models import (
    ArchitectureSpec,
    ExitSpec,
    Layout,
    architecture_layout,
    architectures,
    canonical,
    heads,
    resolve,
)
from ..specs import Range, Spec, SpecError, canonical_json, content_key, require, short_hash, with_images
from .augmentation.policy import policies
from .data import Dataset, DatasetSpec, datasets, share_of
from .optimizers import optimizers
from .plugins import origins
from .recipe import Recipe
from .schedules import schedules

Protocol = Literal["final", "tuning", "paper"]
Regime = Literal["joint", "disjoint", "mixed", "branchwise"]
SEEDS = Range(minimum=0, maximum=2**32 - 1)


@dataclass(frozen=True, kw_only=True)
class TrainedWeights(Spec):
    """Teacher from a file with the weights of a network, identified by the content of the file."""

    locations: ClassVar[frozenset[str]] = frozenset({"path"})

    architecture: ArchitectureSpec
    sha256: str
    """SHA-256 of the file's content, as 64 hexadecimal digits."""
    path: str = field(default="", compare=False)
    """Current path of the file; not part of the canonical form or the key."""
    taken: str = field(default="", compare=False)
    """Steps with which the weights were taken from the file, such as a prefix that was removed; not in the key."""
    seed: ClassVar[None] = None
    """Seed of the teacher's training, which is unknown."""

    def __post_init__(self) -> None:
        """Check the form of the hash."""
        super().__post_init__()
        is_hash = re.fullmatch("[0-9a-f]{64}", self.sha256) is not None
        require(is_hash, "sha256 is 64 hexadecimal digits", sha256=self.sha256)

    def inactive_fields(self) -> frozenset[str]:
        """Return `path` and `taken` if they are empty."""
        return frozenset(name for name in ("path", "taken") if not getattr(self, name))

    def canonical(self) -> Self:
        """Return the same weights without their path and how they were taken."""
        return replace(self, path="", taken="")

    @functools.cached_property
    def key(self) -> str:
        """Content hash of architecture and file."""
        return content_key(self.canonical().to_dict())

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Return the spec that `to_dict` describes."""
        return cls(**{**content, "architecture": ArchitectureSpec.from_dict(content["architecture"])})


@dataclass(frozen=True, kw_only=True)
class TrialSpec(Spec):
    """One network that is trained once."""

    dataset: DatasetSpec
    architecture: ArchitectureSpec
    method: Method
    exits: ExitSpec = field(default_factory=ExitSpec)
    recipe: Recipe = field(default_factory=Recipe)
    seed: Annotated[int, SEEDS] = 0
    """Seed of the initial weights, the image order and the augmentation, from 0 to 4294967295."""
    teacher: "TrialSpec | TrainedWeights | None" = None
    """Trial or weights file of the teacher; None if the method has no teacher."""
    protocol: Protocol = "final"
    """Protocol of the reported numbers: `final`, `tuning` or `paper`.

    `final` reports the last epoch on test, on which nothing is selected. `tuning` reports the last epoch on validation
    and never reads test. `paper` reports the best epoch on test, selected on test, as EED's authors do.
    """
    validation: Annotated[float, Range(minimum=0, maximum=0.9)] = 0.0
    """Fraction of each class of the training images that is held out and evaluated every epoch, from 0 to 0.9."""
    regime: Regime = "joint"
    """Order in which backbone and exits are trained, see `training.regimes`."""

    later_fields: ClassVar[frozenset[str]] = frozenset({"regime"})
    _is_canonical: ClassVar[bool] = False
    """True if `canonical` returned this spec, so that it need not be computed again."""

    def __post_init__(self) -> None:
        """Check that the parts fit each other."""
        super().__post_init__()
        method = self.method
        if not self._exit_blocks and method.exits == "required":
            raise SpecError(f"{method.name} trains exits, but {self._no_exits}.", field="exits")
        if method.teacher != "ignored" and self.teacher is None:
            raise SpecError(f"{method.name} needs a teacher; set `teacher`.", field="teacher")
        if method.teacher == "self" and self.teacher is not None and self.teacher.architecture != self.architecture:
            raise SpecError(f"the teacher of {method.name} must have its student's architecture.", field="teacher")
        if isinstance(self.teacher, TrialSpec) and self.teacher.dataset != self.dataset:
            raise SpecError("a teacher must be trained on its student's dataset.", field="teacher")
        held_out = self.protocol != "tuning" or self.validation > 0
        require(held_out, "validation > 0 with protocol tuning", validation=self.validation)
        if method.requires_hard_labels and self.recipe.mixes_labels:
            raise SpecError(f"{method.name} needs unmixed labels; set mixup and cutmix to 0.", field="recipe")
        stages = [len(layout.stage_channels) for layout in (self.layout, self.teacher_layout) if layout is not None]
        method.check(self.exit_count, stages=min(stages))

    @property
    def exit_count(self) -> int:
        """Number of outputs that the method sees: exits, including the final one, or networks of a cohort."""
        if self.method.cohort:
            return self.method.networks  # type: ignore[attr-defined]
        return 1 if self.method.exits == "ignored" else len(self._exit_blocks) + 1

    @property
    def backbone(self) -> Self | None:
        """Trial of the plain network whose weights the backbone starts with; None if all is trained together."""
        if self.regime == "joint":
            return None
        return self.replace(method=Baseline(), exits=ExitSpec(), teacher=None, regime="joint").canonical()

    @property
    def sources(self) -> "tuple[TrialSpec, ...]":
        """Trials whose weights this one needs: teacher and backbone, unless they come from a file."""
        return tuple(trial for trial in (self.teacher, self.backbone) if isinstance(trial, TrialSpec))

    def inactive_fields(self) -> frozenset[str]:
        """Return `exits` and `teacher` if the method ignores them, and `regime` without exits."""
        ignored = {
            "exits": self.method.exits == "ignored",
            "teacher": self.method.teacher == "ignored",
            "regime": self.regime != "joint" and (self.exit_count == 1 or self.method.cohort),
        }
        return frozenset(name for name, is_ignored in ignored.items() if is_ignored)

    def canonical(self) -> Self:
        """Return the canonical form of the spec; equal experiments have equal canonical forms and keys."""
        if self._is_canonical:
            return self
        form = self.replace(
            method=self.method.canonical(self.exit_count),
            exits=self._canonical_exits(),
            recipe=self._canonical_recipe(),
            teacher=None if "teacher" in self.inactive_fields() or not self.teacher else self.teacher.canonical(),
            regime="joint" if "regime" in self.inactive_fields() else self.regime,
        )
        form.__dict__["_is_canonical"] = True
        return form

    @functools.cached_property
    def configuration(self) -> str:
        """ID of the trial's configuration: content hash of everything but the seed, as `configuration_id` gives it."""
        return short_hash(_joined(self.canonical()._texts))

    @functools.cached_property
    def key(self) -> str:
        """Key of the trial, equal for all notations of the same experiment: `CONFIGURATION-sSEED`."""
        return f"{self.configuration}-s{self.seed}"

    def with_seeds(self, seeds: Iterable[int]) -> "Iterator[Self]":
        """Iterate over the spec with each of these seeds. Only the seeds are checked."""
        fields = {name: getattr(self, name) for name in self.field_infos()} | {"configuration": self.configuration}
        for seed in seeds:
            if not isinstance(seed, int) or isinstance(seed, bool) or not SEEDS.contains(seed):
                require(False, SEEDS.rule("seed"), seed=seed)
            trial = object.__new__(type(self))
            trial.__dict__.update(fields, seed=seed)
            yield trial

    @property
    def reported(self) -> str:
        """Description of the protocol: the reported epoch and the images of its evaluation."""
        match self.protocol:
            case "final":
                return "last epoch on test"
            case "tuning":
                return f"last epoch on {100 * self.validation:g}% of the training images, held out for validation"
            case "paper":
                return "best epoch on test, chosen on test"

    @property
    def dataset_facts(self) -> Dataset:
        """Metadata of the dataset."""
        return self.dataset.facts

    @functools.cached_property
    def plugins(self) -> tuple[str, ...]:
        """SHA-256 of the plugin files that the parts of the trial and its teacher come from.

        A file has no version, so its content is part of the trial's identity.
        """
        own = origins(
            (methods, self.method.name),
            (architectures, self.architecture.name),
            (heads, self.exits.head),
            (datasets, share_of(self.dataset.name)[0]),
            (optimizers, self.recipe.optimizer),
            (schedules, self.recipe.schedule),
            (policies, self.recipe.policy),
            *([(architectures, self.teacher.architecture.name)] if self.teacher else []),
        )
        return tuple(sorted({*own, *(self.teacher.plugins if isinstance(self.teacher, TrialSpec) else ())}))

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as plain JSON values, with the method's name among its settings."""
        plugins = {"plugins": list(self.plugins)} if self.plugins else {}
        return super().to_dict() | {"method": _method_dict(self.method)} | plugins

    @property
    def located(self) -> dict[str, Any]:
        """Content of `to_dict` with the location of the images, for another process of this or another machine."""
        return with_images(self.to_dict(), self.dataset.location)

    @property
    def text(self) -> str:  # type: ignore[override]
        """Canonical JSON of `to_dict`."""
        return _joined(self._texts | {"seed": str(self.seed)})

    @functools.cached_property
    def _texts(self) -> dict[str, str]:
        """Canonical JSON of each part but the seed."""
        skipped = self.inactive_fields() | ({"regime"} if self.regime == "joint" else set())
        parts = {name: getattr(self, name) for name in sorted(self.field_infos()) if name not in skipped}
        texts = {
            name: part.text if isinstance(part, Spec) else canonical_json(part)
            for name, part in parts.items()
            if name not in ("method", "seed")
        }
        texts["method"] = _method_text(self.method)
        if self.plugins:
            texts["plugins"] = canonical_json(self.plugins)
        return texts

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Return the spec that `to_dict` describes; the same plugins must be in use."""
        method = {name: value for name, value in content["method"].items() if name != "name"}
        return cls(
            dataset=DatasetSpec.from_dict(content["dataset"]),
            architecture=ArchitectureSpec.from_dict(content["architecture"]),
            method=methods[content["method"]["name"]].from_dict(method),
            exits=ExitSpec.from_dict(content.get("exits", {})),
            recipe=Recipe.from_dict(content["recipe"]),
            seed=content["seed"],
            teacher=cls._teacher_from_dict(content.get("teacher")),
            protocol=content["protocol"],
            validation=content["validation"],
            regime=content.get("regime", "joint"),
        )

    @classmethod
    def _teacher_from_dict(cls, content: Mapping[str, Any] | None) -> "TrialSpec | TrainedWeights | None":
        if content is None:
            return None
        return TrainedWeights.from_dict(content) if "sha256" in content else cls.from_dict(content)

    @property
    def _no_exits(self) -> str:
        """Clause about a placement without exits, with the placements that are possible."""
        if self.exits.placement.strip() == "none":
            return "the placement is 'none'; use a placement such as 'all'"
        stages, blocks = len(self.layout.stages), len(self.layout.blocks)
        has = f"{stages} stage{'s' * (stages > 1)} and {blocks} block{'s' * (blocks > 1)}"
        last = "use 'block1'" if blocks == 2 else f"use blocks, from 'block1' to 'block{blocks - 1}'"
        possible = last if blocks > 1 else "no exit can be before its end: divide it into blocks"
        return f"{self.exits.placement!r} gives none in {self.architecture.name}, which has {has}; {possible}"

    @property
    def _exit_blocks(self) -> tuple[int, ...]:
        return self._placed()[0]

    def _placed(self) -> tuple[tuple[int, ...], str]:
        return _placed(self.exits.placement, self.layout)

    @property
    def layout(self) -> Layout:
        """Layout of the architecture for the dataset's images."""
        return self._layout(self.architecture)

    @property
    def teacher_layout(self) -> Layout | None:
        """Layout of the teacher's architecture; None without a teacher."""
        return self._layout(self.teacher.architecture) if self.teacher else None

    def _layout(self, architecture: ArchitectureSpec) -> Layout:
        facts = self.dataset_facts
        return architecture_layout(architecture.name, facts.image_shape, facts.classes)

    def _canonical_recipe(self) -> Recipe:
        evaluates = self.protocol == "paper" or self.validation > 0
        return self.recipe.canonical() if evaluates else self.recipe.replace(evaluate_every=1).canonical()

    def _canonical_exits(self) -> ExitSpec:
        if "exits" in self.inactive_fields():
            return ExitSpec()
        # The gradient does not reach the backbone under `disjoint`.
        balanced = self.exits.gradient_equilibrium and self.regime != "disjoint"
        return self.exits.replace(placement=self._placed()[1], gradient_equilibrium=balanced).canonical()


@functools.cache  # many trials share a method
def _method_text(method: Method) -> str:
    return canonical_json(_method_dict(method))


def _joined(texts: Mapping[str, str]) -> str:
    """Return the canonical JSON of an object from that of its values."""
    return "{" + ",".join(f'"{name}":{texts[name]}' for name in sorted(texts)) + "}"


def _method_dict(method: Method) -> dict[str, Any]:
    """Return the settings of the method, including its name."""
    return {"name": method.name, **method.to_dict()}


@functools.cache  # called for every trial; the result holds no network
def _placed(placement: str, layout: Layout) -> tuple[tuple[int, ...], str]:
    """Return the indices of the blocks that exits follow, and the canonical form of the placement."""
    return resolve(placement, layout), canonical(placement, layout)
