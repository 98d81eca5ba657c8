"""Repair of a store: what `exeunt verify` found is written again from other files, or set aside to be trained again."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ..specs import SpecError
from ..store import Plan, Store, lease_owner
from .tracking.writer import Mirror
from .verify import Problem


@dataclass(frozen=True, kw_only=True)
class RepairStep:
    """Repair of one trial, or of the MLflow runs of one sweep."""

    text: str
    """Action, such as `write spec.json of trial 5b4b3f11d95924cb-s0 from the plan`."""
    act: Callable[[], object]


def repair_steps(problems: Iterable[Problem], store: Store, tracking_uri: str) -> list[RepairStep]:
    """Return the repairs of problems, in the order in which they have to be done.

    A trial whose result is set aside needs no other repair. Its students are not set aside: the weights of a teacher
    that is trained again are equal on the same machine, and `verify` names the students of other ones.

    Raises:
        SpecError: if a sweep runs, which may write the same files.
    """
    plans = [*_plans(store)]
    for plan in plans:
        if (holder := lease_owner(store.sweep_directory(plan.name))) is not None:
            whose = f"process {holder['pid']} on {holder['host']}"
            raise SpecError(f"sweep {plan.name!r} is being run by {whose}; repair after it has ended.", field="repair")
    specs = {trial.key: trial.spec for plan in plans for trial in plan.trials}
    of_kind = {kind: [one for one in problems if one.repair == kind] for kind in ("retrain", "rewrite", "sync")}
    retrained = dict.fromkeys(one.subject for one in of_kind["retrain"])
    rewritten = dict.fromkeys(one.subject for one in of_kind["rewrite"])
    steps = [
        RepairStep(
            text=f"write spec.json of trial {key} from the plan",
            act=lambda key=key: store.trial(key).write_spec(specs[key]),
        )
        for key in rewritten
        if key in specs and key not in retrained
    ]
    steps += [
        RepairStep(
            text=f"set result.json of trial {key} aside; the next run of its sweep trains it again",
            act=store.trial(key).set_result_aside,
        )
        for key in retrained
    ]
    steps += [
        RepairStep(
            text=f"write what MLflow lacks of sweep {plan.name}",
            act=lambda plan=plan: _sync(Mirror(plan, store, tracking_uri)),
        )
        for plan in plans
        if any(one.sweep == plan.name for one in of_kind["sync"])
    ]
    return steps


def _sync(mirror: Mirror) -> None:
    mirror.update_all()
    mirror.update_groups()


def _plans(store: Store) -> Iterator[Plan]:
    """Iterate over the plans that can be read; the others are problems of their own."""
    for name in store.sweeps():
        try:
            yield store.plan(name)
        except SpecError:
            continue
