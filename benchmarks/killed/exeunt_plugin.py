"""Plugin of Exeunt that writes the log: it registers a method, and adds a line to the log around each epoch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import event_log
from exeunt.losses import method
from exeunt.losses.label_smoothing import LabelSmoothing
from exeunt.training.loop import TrainingLoop


@method("logged_smoothing")
@dataclass(frozen=True, kw_only=True)
class LoggedSmoothing(LabelSmoothing):
    """Label smoothing. The plugin that registers it also logs trainings."""


train_epoch, finish_epoch = TrainingLoop.train_epoch, TrainingLoop.finish_epoch


def name_of(loop: Any) -> str:
    """Return the name of a trial in the log."""
    return event_log.trial_name(loop.trial.method.smoothing, loop.trial.seed)


def logged_train_epoch(loop: Any) -> Iterator[Any]:
    """Train an epoch; log the first one of this process as the start."""
    if not hasattr(loop, "logged"):
        loop.logged = True
        event_log.write("start", name_of(loop), loop.epoch)
    yield from train_epoch(loop)


def logged_finish_epoch(loop: Any) -> bool:
    """Finish an epoch and log it."""
    reported = finish_epoch(loop)
    event_log.write("epoch", name_of(loop), loop.epoch)
    if loop.epoch == loop.trial.recipe.epochs:
        event_log.write("end", name_of(loop), loop.epoch)
    return reported


TrainingLoop.train_epoch = logged_train_epoch  # type: ignore[method-assign]
TrainingLoop.finish_epoch = logged_finish_epoch  # type: ignore[method-assign]
