"""The store against a model: attempts that are killed at any I/O call, superseded ones, cleaning, moves, and MLflow."""

import os
import shutil
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from exeunt.results.mlflow_reader import experiment_id, runs_in
from exeunt.specs import sqlite_uri
from exeunt.store import StaleAttemptError, Store, TrialBusyError, liveness
from exeunt.sweep import clean
from exeunt.sweep.clean import find_removable
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.tracking.writer import Mirror
from exeunt.sweep.verify import trial_problems
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ..io_calls import Fault, Killed, intercepted, memory_folder
from ..simulated_training import EPOCHS, train, weights_of

FILE = f"""\
name: machine
dataset: digits
architectures: [resnet8]
seeds: [0, 1]
recipe: {{base: fast, epochs: {EPOCHS}}}
methods: {{baseline: {{}}}}
"""
LEFT = "0" * 16 + "-s0"
"""Key of a trial of no sweep."""
KILLS = st.none() | st.integers(1, 120)
"""Number of the I/O call at which a process is killed."""
TRIALS = st.integers(0, 1)


class StoreMachine(RuleBasedStateMachine):
    """Operations on a store, and the model that it has to agree with."""

    def __init__(self, plan, database):
        super().__init__()
        self.folder = memory_folder()
        self.store = Store(self.folder / "store")
        self.plan = replace(plan, name=self.folder.name)
        self.database = database
        self.pid = 1
        self.results = {}
        """Result of each finished trial."""
        self.epochs = {}
        """Epoch of the last checkpoint of each trial whose write has returned."""
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(os, "getpid", lambda: self.pid)
        self.patch.setattr(liveness, "_born", lambda pid: "0" if pid == self.pid else None)
        self.patch.setattr(clean, "_lives", lambda pid: pid == self.pid)
        self.patch.setattr(clean, "time", SimpleNamespace(time=lambda: time.time() + 2 * clean.DAY_S))
        self.store.save_sweep(self.plan)

    def teardown(self):
        self.patch.undo()
        shutil.rmtree(self.folder)

    @contextmanager
    def process(self, kill=None):
        """Run the block as a new process, which may be killed at one of its I/O calls."""
        self.pid += 1
        with suppress(Killed), intercepted(self.folder, Fault(kill or 10**9, "kill")):
            yield

    @rule(number=TRIALS, kill=KILLS)
    def train(self, number, kill):
        """No epoch before a checkpoint is trained again, and no result is replaced."""
        trial, trained = self.plan.trials[number], []
        was_finished, before = trial.key in self.results, self.epochs.get(trial.key, 0)
        with self.process(kill), self.store.attempt(trial.key, driver="d") as files:
            write = files.checkpoints.write

            def written(content, *, epoch, step):
                write(content, epoch=epoch, step=step)
                self.epochs[trial.key] = epoch

            files.checkpoints.write = written
            train(files, trial.key, trial.spec, on_epoch=lambda record: trained.append(record["epoch"]))
        assert not trained or (not was_finished and trained[0] > before)
        if (result := self.store.trial(trial.key).result()) is not None:
            self.results.setdefault(trial.key, result)
        assert kill is not None or trial.key in self.results

    @rule(number=TRIALS, kill=KILLS)
    def supersede(self, number, kill):
        """An attempt that was replaced can change nothing."""
        key = self.plan.trials[number].key
        with self.process(), self.store.attempt(key, driver="d") as first, ExitStack() as stack:
            begun = False
            with suppress(Killed), intercepted(self.folder, Fault(kill or 10**9, "kill")):
                stack.enter_context(self.store.attempt(key, driver="d"))
                begun = True
            before = self.files()
            for change in (
                lambda: first.write_weights(b"stale"),
                lambda: first.write_history([]),
                lambda: first.checkpoints.write(b"stale", epoch=9, step=0),
                lambda: first.write_result({"state": "done", "seconds": 0.0, "metrics": {}, "environment": {}}),
            ):
                if begun:
                    with pytest.raises(StaleAttemptError):
                        change()
            assert self.files() == before

    @rule(number=TRIALS)
    def share(self, number):
        """A trial that a living process trains is busy for another sweep."""
        key = self.plan.trials[number].key
        with self.process(), self.store.attempt(key, driver="d"), pytest.raises(TrialBusyError):
            self.store.attempt(key, driver="e").__enter__()

    @rule(kill=KILLS)
    def clean(self, kill):
        """A trial of no sweep is removed, and nothing of the others."""
        with self.process(), self.store.attempt(LEFT, driver="d") as files:
            files.write_weights(b"left")
        with self.process(kill):
            for removable in list(find_removable(self.store, [self.plan])):
                removable.remove()
        assert kill is not None or not self.store.trial(LEFT).directory.entries()

    @rule(is_copy=st.booleans())
    def move(self, is_copy):
        """The storage is moved, or replaced by its copy."""
        self.pid += 1
        old, new = (self.folder / name for name in ("store", "new"))
        (shutil.copytree if is_copy else shutil.move)(old, new)
        shutil.rmtree(old, ignore_errors=True)
        shutil.move(new, old)

    @rule(kill=KILLS)
    def sync(self, kill):
        """MLflow has each finished trial once."""
        with self.process(kill):
            Mirror(self.plan, self.store, self.database).update(self.plan.trials)
        Mirror(self.plan, self.store, self.database).update(self.plan.trials)
        recorded = runs_in(self.database, experiment_id(self.database, self.plan.name))
        states = Counter((run.tags.get("exeunt.key"), run.tags.get("exeunt.state")) for run in recorded)
        assert {key: states[key, "done"] for key in self.results} == dict.fromkeys(self.results, 1)

    @invariant()
    def all_promises_hold(self):
        for trial in self.plan.trials:
            files = self.store.trial(trial.key)
            assert files.result() == self.results.get(trial.key)
            assert [record["epoch"] for record in files.history()] == [*range(1, len(files.history()) + 1)]
            assert list(trial_problems(self.store, trial.key)) == []
            if trial.key in self.results:
                assert files.weights() == weights_of(trial.key)
        assert {trial.key for trial in self.store.plan(self.plan.name).trials} == {
            trial.key for trial in self.plan.trials
        }

    def files(self):
        """Return the content of all files that are no temporary ones."""
        found = (path for path in self.folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        return {path: path.read_bytes() for path in found}


@pytest.mark.slow
def test_the_store_agrees_with_a_model(tmp_path, database):
    (tmp_path / "sweep.yaml").write_text(FILE)
    plan = make_plan(read_sweep(tmp_path / "sweep.yaml"))
    copy = sqlite_uri(Path(shutil.copy(database, tmp_path / "mlflow.db")))
    run_state_machine_as_test(lambda: StoreMachine(plan, copy), settings=settings(stateful_step_count=12))
