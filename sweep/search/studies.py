"""Optuna's studies, the record of a search: one for each method on each network."""

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

from ...training import StorageError
from ..planning.search_space import Categorical, Direction, NumericRange, Sampler, SearchPlan, SearchSpace
from ..planning.sweep_file import Sweep
from ..store.trial_store import Store
from .optuna_storage import UNAVAILABLE, BadUrlError, open_database, reason_of

JOURNAL = "studies.journal"
"""In the folder of the sweep."""
PAUSES = (0.5, 2.0, 8.0)
"""Seconds before studies that did not answer are asked once more."""
Answer = TypeVar("Answer")

SAMPLER_CLASSES: dict[Sampler, Callable[..., BaseSampler]] = {
    "tpe": functools.partial(optuna.samplers.TPESampler, constant_liar=True),
    "gp": optuna.samplers.GPSampler,
    "cmaes": functools.partial(optuna.samplers.CmaEsSampler, warn_independent_sampling=False),
    "nsga2": optuna.samplers.NSGAIISampler,
    "qmc": functools.partial(optuna.samplers.QMCSampler, scramble=True, warn_asynchronous_seeding=False),
    "random": optuna.samplers.RandomSampler,
}

optuna.logging.set_verbosity(optuna.logging.ERROR)  # the board tells of trials
logging.getLogger("sqlalchemy").setLevel(logging.ERROR)


class StudiesError(StorageError):
    """The studies cannot be read or written."""

    what = "the studies"


class Studies:
    """The studies of a sweep's search, in a journal in the storage or in a database."""

    def __init__(self, sweep: Sweep, store: Store) -> None:
        """Of a sweep that has a search. Nothing is opened yet."""
        assert sweep.search is not None
        self.search: SearchPlan = sweep.search
        self.stopping = sweep.stopping
        self._sweep = sweep.name
        self._store = store
        self._opened: dict[str, optuna.Study] = {}

    def exist(self) -> bool:
        """Whether the search has begun, as far as that can be known without opening them."""
        return self.search.studies is not None or JOURNAL in self._store.sweep_folder(self._sweep).entries()

    def mend(self) -> None:
        """Makes the journal whole again after its writer died. For the driver, the only process that writes."""
        if self.search.studies is None and self._store.is_local:
            mend_journal(self._journal_path)

    def name(self, space: SearchSpace) -> str:
        """Of a space's study: another one where what it tries, or how it judges, is another."""
        return f"{self._sweep}/{space.name}/{self.search.identity(space)}"

    def of(self, space: SearchSpace) -> optuna.Study:
        """The study of a space, made if there is none. Raises `StudiesError` where it cannot be opened."""
        name = self.name(space)
        if name not in self._opened:
            self._opened[name] = self.steadily(lambda: self._open(name))
        return self._opened[name]

    def steadily(self, act: Callable[[], Answer], again: Callable[[], object] = lambda: None) -> Answer:
        """What `act` returns, tried for a while where the studies do not answer, each further time after `again`.

        Raises `StudiesError` in the end.
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
                    raise StudiesError(f"the studies of the search do not answer: {reason_of(error)}.") from error
                time.sleep(pause)
        raise AssertionError("the last one returns or raises")

    def ask(self, space: SearchSpace) -> optuna.Trial:
        """The next settings to try.

        Every trial has a generator of its own, so that a search that was interrupted goes on as it would have gone
        on, with each of the samplers. With several at once the order in which they end decides too, and no seed can.
        """
        return self.complete(space, self.of(space).ask())

    def complete(self, space: SearchSpace, trial: optuna.Trial) -> optuna.Trial:
        """The trial with a value for each range, also if it was cut off while it got them.

        It then gets those that it would have got, but for `qmc`, which goes on one point further in its sequence, and
        `gp`, which takes the trial itself for another one that runs.
        """
        trial.study.sampler = self._sampler(trial.number)
        if space.ranges.keys() - trial.params.keys():
            _ = trial.relative_params  # those that are drawn together are drawn here
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
        """Trials that were asked for and not told, but for those with known numbers: their driver died."""
        study = self.of(space)
        running = study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
        return [optuna.Trial(study, trial._trial_id) for trial in running if trial.number not in known]

    @functools.cached_property
    def _storage(self) -> BaseStorage:
        if self.search.studies is None:
            return self._journal()
        try:
            return open_database(self.search.studies)
        except BadUrlError as error:
            place = self.search.spaces[0].document.error(("search", "studies"), str(error))
            raise StudiesError(str(place)) from error

    def _journal(self) -> BaseStorage:
        if not self._store.is_local:
            rule = "an object store has no place for the journal of a search; name a database"
            example = "search: {studies: postgresql+psycopg://USER:$PASSWORD@HOST/NAME}"
            raise StudiesError(f"{self._store.location}: {rule}, such as {example}.")
        path = self._journal_path
        path.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(path)))

    @property
    def _journal_path(self) -> Path:
        return Path(self._store.sweep_folder(self._sweep).located(JOURNAL))

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
        """For the trial with this number, and its range with this name where each range is drawn by itself.

        Sobol's points are one sequence, which has one seed.
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
    """Takes away a last line that was cut off when its writer died, which Optuna would take for damage.

    For the only process that writes.
    """
    if path.exists() and (content := path.read_bytes()) and not content.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)
    path.with_name(path.name + ".lock").unlink(missing_ok=True)
