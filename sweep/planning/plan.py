"""From what a sweep file asks for to the trainings that answer it, each once."""

from dataclasses import dataclass
from typing import Literal

from ...training import TrialSpec
from .file import Sweep

Role = Literal["result", "teacher"]


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """One training of the plan."""

    spec: TrialSpec
    key: str
    role: Role
    """`teacher`: trained only because another trial learns from it."""
    order: int
    """Position in the plan."""

    @property
    def needs(self) -> str | None:
        """The key of the trial that must be done first, if there is one."""
        return self.spec.teacher.key if isinstance(self.spec.teacher, TrialSpec) else None

    def __str__(self) -> str:
        spec = self.spec
        usual = type(spec.method)().to_dict()
        unusual = {name: value for name, value in spec.method.to_dict().items() if usual.get(name) != value}
        if spec.exits.placement != "none":
            unusual["exits"] = spec.exits.placement
        settings = ", ".join(f"{name}={value}" for name, value in unusual.items())
        method = f"{spec.method.name} ({settings})" if settings else spec.method.name
        return f"{method}, {spec.architecture.name}, {spec.dataset.name}, seed {spec.seed}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All trainings of a sweep, each after the one it needs."""

    sweep: Sweep
    trials: tuple[PlannedTrial, ...]


def make_plan(sweep: Sweep) -> Plan:
    """Merges what is the same experiment and puts each missing teacher before its first student."""
    asked = {spec.key for spec in sweep.trials}
    planned: dict[str, PlannedTrial] = {}

    def add(spec: TrialSpec) -> None:
        if spec.key in planned:
            return
        if isinstance(spec.teacher, TrialSpec):
            add(spec.teacher)
        role: Role = "result" if spec.key in asked else "teacher"
        planned[spec.key] = PlannedTrial(spec=spec, key=spec.key, role=role, order=len(planned))

    for spec in sweep.trials:
        add(spec)
    return Plan(sweep=sweep, trials=tuple(planned.values()))
