"""Runs what is missing of a plan: one Ray Tune experiment, watched from here."""

import functools
import tempfile
from collections.abc import Callable
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial

from ...specs import SpecError
from ...training import DataSource
from ..display.board import Board
from ..planning.file import Resources
from ..planning.plan import Plan
from ..storage.mirroring import mirrored
from ..storage.store import Store
from .schedule import PlanSearcher
from .termination import heeding_sigterm
from .worker import run_trial


def launch(
    plan: Plan, store: Store, source: DataSource, board: Board, ray_ready: Callable[[], None], tracking_uri: str
) -> None:
    """Trains the board's trials, as many at once as Ray's resources allow, and mirrors them to MLflow.

    A trial that fails or diverges is shown, and the rest goes on.

    Raises:
        KeyboardInterrupt: after Ctrl-C or a worker's SIGTERM, when trials have been stopped that were not done.
        SpecError: for resources that there are not, for which Ray would wait for ever.
    """
    resources = plan.sweep.resources
    done = [trial.key for trial in plan.trials if store.progress(trial.key).state == "done"]
    searcher = PlanSearcher(board.trials.values(), done)
    ray_ready()
    _check_resources(resources)
    announce = functools.partial(board.console.print, markup=False, highlight=False, soft_wrap=True)
    mirror = mirrored(plan, store, tracking_uri, announce)
    with mirror as changed, tempfile.TemporaryDirectory() as scratch:
        trainable = functools.partial(
            run_trial,
            store=store,
            source=source,
            threads=resources.cores // resources.members,
            processes=resources.members,
            accelerated=resources.gpu > 0,
        )
        tuner = tune.Tuner(
            heeding_sigterm(tune.with_resources(trainable, {"cpu": resources.cores, "gpu": resources.gpu})),
            tune_config=tune.TuneConfig(search_alg=searcher, num_samples=len(board.trials), reuse_actors=True),
            run_config=tune.RunConfig(
                name=plan.sweep.name,
                storage_path=scratch,  # Tune's own records are not needed: the store says what is done
                verbose=0,
                callbacks=[_Watch(board, store, changed)],
            ),
        )
        tuner.fit()
    for key, reason in searcher.given_up.items():
        board.end(key, problem=reason)
    if board.unfinished:  # Tune answers the first Ctrl-C by stopping its trials and returning
        raise KeyboardInterrupt


def _check_resources(wanted: Resources) -> None:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for name, number in (("cpu", wanted.cores), ("gpu", wanted.gpu)):
        if number > (most := max(node.get(name.upper(), 0) for node in nodes)):
            rule = f"a trial cannot have {number:g}, the largest machine has only {most:g}"
            raise SpecError(f"resources.{name}: {rule}.", field=name)


class _Watch(tune.Callback):
    """Passes on what happens to trials."""

    def __init__(self, board: Board, store: Store, changed: set[str]) -> None:
        self._board = board
        self._store = store
        self._changed = changed

    def __reduce__(self) -> tuple[type, tuple[()]]:
        # Tune pickles its callbacks so that it could restore them, which nobody asks it to.
        return tune.Callback, ()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._board.start(trial.config["key"])

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if result["state"] == "running":
            self._board.advance(trial.config["key"], result["epoch"], result["epochs"])
            self._changed.add(trial.config["key"])

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._end(trial.config["key"])

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        if trial.last_result.get("state") == "stopped":  # it is unfinished, no more
            self._board.running.pop(trial.config["key"], None)
            self._board.refresh()
        else:
            self._end(trial.config["key"])

    def _end(self, key: str) -> None:
        progress = self._store.progress(key)
        if progress.state == "done" and progress.result is not None:
            self._board.end(key, seconds=progress.result["seconds"])
        else:
            if not progress.reason:
                self._store.trial(key).write_failure({"reason": "its worker died"})
            self._board.end(key, problem=progress.reason or "its worker died")
        self._changed.add(key)
