"""Optuna studies, the record of a search: one study for each method on each network."""

import functools
import logging
import time
import warnings
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from ...store import SearchRecord, StorageError, Store
from ..planning.search_space import Categorical, Direction, NumericRange, Sampler, SearchPlan, SearchSpace
from ..planning.sweep_file import Sweep
from .optuna_storage import UNAVAILABLE, BadUrlError, open_database, reason_of

JOURNAL = "studies.journal"
"""Name of the journal file in the directory of the sweep."""
PAUSES = (0.5, 2.0, 8.0)
"""Seconds before each retry of a failed access to the studies."""
Answer = TypeVar("Answer")

SAMPLER_CLASSES: dict[Sampler, Callable[..., BaseSampler]] = {
    "tpe": functools.partial(optuna.samplers.TPESampler, constant_liar=True),
    "gp": optuna.samplers.GPSampler,
    "cmaes": functools.partial(optuna.samplers.CmaEsSampler, warn_independent_sampling=False),
    "nsga2": optuna.samplers.NSGAIISampler,
    "qmc": functools.partial(optuna.samplers.QMCSampler, scramble=True, warn_asynchronous_seeding=False),
    "random": optuna.samplers.RandomSampler,
}

optuna.logging.set_verbosity(optuna.logging.ERROR)  # the progress display reports trials
logging.getLogger("sqlalchemy").setLevel(logging.ERROR)


class StudiesError(StorageError):
    """Failed access to the studies."""

    what = "the studies"


class StudyReader:
    """Reader of the studies of a search, which are in a journal in the storage or in a database."""

    def __init__(self, sweep: str, search: SearchRecord, store: Store) -> None:
        """Prepare the studies of the sweep with this name. They are opened on first use."""
        self.record = search
        self._sweep = sweep
        self._store = store

    def exist(self) -> bool:
        """Return True if the journal exists or a database is configured; opens neither."""
        return self.record.studies is not None or JOURNAL in self._store.sweep_directory(self._sweep).entries()

    def existing(self, name: str) -> optuna.Study | None:
        """Return the study with this name; None if there is none yet."""
        if not self.exist():
            return None
        try:
            return optuna.load_study(study_name=name, storage=self._storage)
        except KeyError:
            return None

    def steadily(self, act: Callable[[], Answer], again: Callable[[], object] = lambda: None) -> Answer:
        """Return the result of `act`, with retries if the studies are unavailable.

        Args:
            act: access to the studies.
            again: called before each retry.

        Raises:
            StudiesError: if the last retry fails.
        """
        begun = False
        for pause in (*PAUSES, None):
            try:
                if begun:
                    again()
                begun = True
                return act()
            except UNAVAILABLE as error:
                if pause is None:
                    raise StudiesError(f"the studies of the search are unavailable: {reason_of(error)}.") from error
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    @functools.cached_property
    def _storage(self) -> BaseStorage:
        if self.record.studies is None:
            return self._journal()
        try:
            return open_database(self.record.studies)
        except BadUrlError as error:
            raise self._misuse(error) from error

    def _misuse(self, error: BadUrlError) -> StudiesError:
        return StudiesError(f"search.studies: {error}")

    def _journal(self) -> BaseStorage:
        if not self._store.is_local:
            rule = "an object store cannot hold the journal of a search; name a database"
            example = "search: {studies: postgresql+psycopg://USER:$PASSWORD@HOST/NAME}"
            raise StudiesError(f"{self._store.location}: {rule}, such as {example}.")
        path = self._journal_path
        path.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(path)))

    @property
    def _journal_path(self) -> Path:
        return Path(self._store.sweep_directory(self._sweep).located(JOURNAL))


class Studies(StudyReader):
    """The studies of a sweep's search, for the process that runs it."""

    def __init__(self, sweep: Sweep, store: Store) -> None:
        """Prepare the studies of a sweep with a search. They are opened on first use."""
        assert sweep.search is not None
        super().__init__(sweep.name, sweep.search.record(sweep.name), store)
        self.search: SearchPlan = sweep.search
        self.stopping = sweep.stopping
        self._opened: dict[int, tuple[SearchSpace, optuna.Study]] = {}
        """Each opened study with its space, by the identity of the space: its name takes as long as a suggestion."""

    def mend(self) -> None:
        """Repair the journal after its writer was killed. Only the driver may call this, the only writer."""
        if self.record.studies is None and self._store.is_local:
            mend_journal(self._journal_path)

    def name(self, space: SearchSpace) -> str:
        """Return the name of a space's study, which changes with the trials, ranges, objectives and sampler."""
        return self.search.study(self._sweep, space)

    def of(self, space: SearchSpace) -> optuna.Study:
        """Return the study of a space, created if missing. Raises `StudiesError` if it cannot be opened."""
        if id(space) not in self._opened:
            name = self.name(space)
            self._opened[id(space)] = space, self.steadily(lambda: self._open(name))
        return self._opened[id(space)][1]

    def ask(self, space: SearchSpace) -> optuna.Trial:
        """Return a new trial with suggested settings.

        Every trial has its own random generator, so that a resumed search suggests the same settings with each
        sampler. With several concurrent trials, suggestions also depend on the order in which trials end.
        """
        return self.complete(space, self.of(space).ask())

    def complete(self, space: SearchSpace, trial: optuna.Trial) -> optuna.Trial:
        """Return the trial with a value for each range, also if it was interrupted between two values.

        An interrupted trial gets the values that it would have had. Two samplers differ: `qmc` continues with the
        next point of its sequence, and `gp` counts the trial itself as another running trial.
        """
        trial.study.sampler = self._sampler(trial.number)
        if space.ranges.keys() - trial.params.keys():
            _ = trial.relative_params  # draws the values of joint sampling
        for name, wanted in space.ranges.items():
            trial.study.sampler = self._sampler(trial.number, name)
            match wanted:
                case Categorical():
                    trial.suggest_categorical(name, wanted.values)
                case NumericRange(whole=True):
                    low, high, step = int(wanted.low), int(wanted.highest), int(wanted.step or 1)
                    trial.suggest_int(name, low, high, log=wanted.log, step=step)
                case NumericRange():
                    trial.suggest_float(name, wanted.low, wanted.highest, log=wanted.log, step=wanted.step)
        return trial

    def cut_off(self, space: SearchSpace, known: Container[int]) -> list[optuna.Trial]:
        """Return the running trials whose number is not in `known`; their driver was killed."""
        study = self.of(space)
        running = study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
        return [optuna.Trial(study, trial._trial_id) for trial in running if trial.number not in known]

    def _misuse(self, error: BadUrlError) -> StudiesError:
        return StudiesError(str(self.search.spaces[0].document.error(("search", "studies"), str(error))))

    def _open(self, name: str) -> optuna.Study:
        objectives = self.search.objectives
        directions: list[Direction] = [objective.direction for objective in objectives]
        study = optuna.create_study(
            storage=self._storage, study_name=name, directions=directions, load_if_exists=True, sampler=self._sampler(0)
        )
        if study.metric_names is None:
            with _no_experimental_warning():
                study.set_metric_names([objective.words for objective in objectives])
        return study

    def _sampler(self, number: int, name: str = "") -> BaseSampler:
        """Return the sampler of a trial and, for independent sampling, of one of its ranges.

        `qmc` has one seed for all trials, because a Sobol sequence has one seed.
        """
        seeds = (self.search.seed,) if self.search.sampler == "qmc" else (self.search.seed, number)
        seed = int(np.random.SeedSequence((*seeds, *name.encode())).generate_state(1)[0])
        with _no_experimental_warning():
            return SAMPLER_CLASSES[self.search.sampler](seed=seed)


@contextmanager
def _no_experimental_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def mend_journal(path: Path) -> None:
    """Remove an incomplete last line and a stale lock, which a killed writer leaves and Optuna does not accept.

    Only the process that writes the journal may call this.
    """
    if path.exists() and (content := path.read_bytes()) and not content.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)
    path.with_name(path.name + ".lock").unlink(missing_ok=True)
