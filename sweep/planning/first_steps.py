"""Choice of the trials whose first training step is tried before a sweep starts: one for each network and method."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ...losses import Method, methods
from ...models import heads
from ...models.architectures import BUILT_IN
from ...specs.user_code import is_users
from ...store import Plugin
from ...training import TrialSpec

_OWN_ARCHITECTURES = frozenset(name for names in BUILT_IN.values() for name in names)


@dataclass(frozen=True, kw_only=True)
class FirstStep:
    """One training step to try, as data for another process."""

    label: str
    """Method and architecture, such as `eed on resnet18`."""
    spec: dict[str, Any]
    plugins: tuple[Plugin, ...]


def first_steps(
    specs: Iterable[TrialSpec], plugins: tuple[Plugin, ...], *, only_foreign: bool = False
) -> list[FirstStep]:
    """Return one step for each distinct pair of network and method.

    Args:
        specs: Specs of the trials.
        plugins: Plugins of the sweep.
        only_foreign: True to leave out pairs in which this package defines every part.
    """
    first: dict[object, TrialSpec] = {}
    for spec in specs:
        first.setdefault(_pair(spec), spec)
    kept = (spec for spec in first.values() if not only_foreign or _is_foreign(spec))
    return [FirstStep(label=label(spec), spec=spec.located, plugins=plugins) for spec in kept]


def label(trial: TrialSpec) -> str:
    """Return method and architecture of a trial, and the teacher's architecture."""
    teacher = f", teacher {trial.teacher.architecture.name}" if trial.teacher else ""
    return f"{trial.method.name} on {trial.architecture.name}{teacher}"


def _pair(trial: TrialSpec) -> tuple[object, ...]:
    teacher = trial.teacher
    networks = (trial.dataset, trial.architecture, trial.exits, teacher and teacher.architecture)
    return (*networks, trial.method.name, *_branches(trial.method))


def _branches(method: Method) -> Iterator[object]:
    """Iterate over the settings that can select another part of a loss: all but numbers, and numbers that are 0."""
    skipped = method.inactive_fields()
    for name in method.field_infos():
        if name not in skipped:
            value = getattr(method, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            yield value == 0 if is_number else value


def _is_foreign(trial: TrialSpec) -> bool:
    """Return True if a plugin or another package defines a part of the trial."""
    names = [trial.architecture.name, *([trial.teacher.architecture.name] if trial.teacher else [])]
    if trial.plugins or any(name not in _OWN_ARCHITECTURES for name in names):
        return True
    return is_users(methods[trial.method.name]) or is_users(heads[trial.exits.head])
