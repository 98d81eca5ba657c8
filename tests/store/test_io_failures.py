"""Each I/O call of the store fails once, one after the other, in each way that a disk can fail; or its process ends."""

import itertools
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from exeunt.specs import SpecError, content_key, trial_key
from exeunt.store import LocalDirectory, StorageError, Store, hold_lease, lease_owner, liveness
from exeunt.store.migration import migrate_trials
from exeunt.store.trial_files import SPEC
from exeunt.sweep import clean
from exeunt.sweep.clean import find_removable
from exeunt.sweep.verify import trial_problems

from ..io_calls import Fault, Killed, intercepted, memory_folder
from ..simulated_training import train, weights_of
from .crash_states import Recording, recorded
from .test_plan_record import PLAN

KINDS = [
    "EIO",
    "short write",
    "kill",
    *(pytest.param(kind, marks=pytest.mark.nightly) for kind in ("ENOSPC", "EINTR")),
]
TRIAL, LEFT = PLAN.trials[0], "0" * 16 + "-s0"
"""A planned trial, and one of no sweep."""
OLD_SPECS = [TRIAL.spec | {"seed": seed} for seed in (5, 6)]
DAYS_S = 2 * clean.DAY_S


def finish(store: Store) -> None:
    with store.attempt(TRIAL.key, driver="d") as files:
        train(files, TRIAL.key, TRIAL.spec)


def require_finished(store: Store) -> None:
    assert store.progress(TRIAL.key).state == "done"
    assert store.trial(TRIAL.key).weights() == weights_of(TRIAL.key)


def launch(store: Store) -> None:
    directory = store.sweep_directory(PLAN.name)
    with hold_lease(directory, PLAN.name):
        store.save_sweep(PLAN)
        mark = store.sweep_id(PLAN.name)
        assert store.sweep_id(PLAN.name) == mark


def require_launched(store: Store) -> None:
    assert store.plan(PLAN.name) == PLAN
    assert lease_owner(store.sweep_directory(PLAN.name)) is None


def litter(store: Store) -> None:
    """Leave a file of each kind that `exeunt clean` removes."""
    finish(store)
    store.trial(TRIAL.key).checkpoints.write(b"old", epoch=1, step=0)
    store.trial(TRIAL.key).directory.write("damaged-result.json", b"{")
    store.trial(TRIAL.key).directory.write(".weights.pt.999999999", b"cut off")
    with store.attempt(LEFT, driver="d") as files:
        files.write_weights(b"left")
        files.directory.inside("plugins").write("own.py", b"# a method\n")


def tidy(store: Store) -> None:
    for removable in list(find_removable(store, [PLAN])):
        removable.remove()


def require_tidy(store: Store) -> None:
    assert list(find_removable(store, [PLAN])) == []
    assert store.keys() == [TRIAL.key]
    require_finished(store)


def verify(store: Store) -> None:
    """Check all that is stored, as `exeunt verify` does; an unreadable file is one of its problems."""
    assert all(store.plan(name) == PLAN for name in store.sweeps())
    keys = store.keys()
    for problem in (problem for key in keys for problem in trial_problems(store, key)):
        if "history.jsonl has 3 of" not in problem.what:  # the plan of the test has another number of epochs
            raise StorageError(problem.what)


def leave_old(store: Store) -> None:
    """Leave trials of 0.1.0, one of them with weights that a sweep file names."""
    for spec in OLD_SPECS:
        directory = store.root.inside("trials", content_key(spec))
        SPEC.write(directory, "spec.json", spec)
        directory.write("weights.pt", content_key(spec).encode())
    named = content_key(OLD_SPECS[0])
    store.sweep_directory("old").write("sweep.yaml", f"kd: runs/trials/{named}/weights.pt".encode())


def migrate(store: Store) -> None:
    assert [one.problem for one in migrate_trials(store) if one.problem] == []


def require_migrated(store: Store) -> None:
    named, other = map(content_key, OLD_SPECS)
    assert store.keys() == sorted([named, *map(trial_key, OLD_SPECS)])
    for spec, old in zip(OLD_SPECS, (named, other), strict=True):
        assert store.trial(trial_key(spec)).weights() == old.encode()
    assert store.trial(named).weights() == named.encode()
    assert list(migrate_trials(store)) == []


@dataclass(frozen=True)
class Operation:
    """Operation of the product on a store."""

    prepare: Callable[[Store], object]
    run: Callable[[Store], object]
    is_done: Callable[[Store], bool | None]


OPERATIONS = {
    "trial": Operation(lambda _: None, finish, require_finished),
    "launch": Operation(lambda _: None, launch, require_launched),
    "launch again": Operation(launch, launch, require_launched),
    "clean": Operation(litter, tidy, require_tidy),
    "verify": Operation(lambda store: (launch(store), finish(store)), verify, require_finished),
    "migration": Operation(leave_old, migrate, require_migrated),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = memory_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def processes(monkeypatch) -> Iterator[int]:
    """Numbers of processes that run one after the other; the last one that was drawn is alive."""
    alive = [1]
    monkeypatch.setattr(os, "getpid", lambda: alive[-1])
    monkeypatch.setattr(liveness, "_born", lambda pid: "0" if pid == alive[-1] else None)
    monkeypatch.setattr(clean, "time", SimpleNamespace(time=lambda: time.time() + DAYS_S))

    def draw() -> Iterator[int]:
        while True:
            alive.append(alive[-1] + 1)
            yield alive[-1]

    return draw()


def require_ours(error: BaseException | None, root: Path) -> None:
    """Check that an error is one message that names a file of the store."""
    if error is not None and not isinstance(error, Killed):
        assert isinstance(error, SpecError), repr(error)
        assert re.search(rf"{root}/\S+ (cannot|is)", str(error)), str(error)


def fail_once(root: Path, operation: Operation, fault: Fault, processes: Iterator[int]) -> Recording:
    """Run an operation whose call fails, and then again; check all promises after both."""
    root.mkdir()
    with recorded(root) as recording:
        operation.prepare(Store(root / "store"))
        next(processes)
        error: BaseException | None = None
        try:
            with intercepted(root, fault):
                operation.run(Store(root / "store"))
        except (Exception, Killed) as raised:
            error = raised
        require_ours(error, root)
        recording.require_promises_now()
        next(processes)
        operation.run(Store(root / "store"))
    assert operation.is_done(Store(root / "store")) is not False
    recording.require_promises_now()
    return recording


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_call_of_an_operation_fails_once_and_the_same_operation_again_succeeds(kind, name, folder, processes):
    for number in itertools.count(1):
        fault = Fault(number, kind)
        fail_once(folder / str(number), OPERATIONS[name], fault, processes)
        shutil.rmtree(folder / str(number))
        if not fault.happened:
            break
    assert number > 20 or kind == "short write"


def directory_of(store: Store) -> LocalDirectory:
    return store.root.inside("a", "b")  # type: ignore[return-value]


def fill(store: Store) -> None:
    for name in ("x", "y"):
        directory_of(store).write(name, b"old")
        directory_of(store).inside("c").write(name, b"old")


CHANGES = {
    "first write": Operation(
        lambda _: None,
        lambda store: directory_of(store).write("x", b"new"),
        lambda store: directory_of(store).read("x") == b"new",
    ),
    "write": Operation(
        fill,
        lambda store: directory_of(store).guarded(lambda: None).write("x", b"new"),
        lambda store: directory_of(store).read("x") == b"new",
    ),
    "remove": Operation(
        fill,
        lambda store: directory_of(store).remove("x", "y"),
        lambda store: directory_of(store).entries() == {},
    ),
    "remove all": Operation(
        fill,
        lambda store: directory_of(store).remove_all(),
        lambda store: store.root.inside("a").subdirectories() == [],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_change_that_failed_once_is_durable_when_the_same_change_returns(kind, name, folder, processes):
    for number in itertools.count(1):
        fault = Fault(number, kind)
        fail_once(folder / str(number), CHANGES[name], fault, processes)
        if not fault.happened:
            break


@pytest.mark.slow
def test_a_process_whose_launch_failed_can_launch_the_sweep_again(folder, processes):
    """A notebook is such a process: its lease would be valid as long as it runs."""
    for number in itertools.count(1):
        store, fault = Store(folder / str(number)), Fault(number, "EIO")
        next(processes)
        try:
            with intercepted(folder, fault):
                launch(store)
        except SpecError:
            launch(store)
        if not fault.happened:
            break
    assert number > 40
