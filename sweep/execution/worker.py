"""Function that a Ray worker runs for each trial, without state from the trial before."""

import functools
import json
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ray import tune

from ...specs import SpecError, masked, one_line
from ...specs.process_state import preserved_process_state
from ...specs.user_code import UserCodeError
from ...store import (
    WEIGHTS,
    Plugin,
    Record,
    StaleAttemptError,
    StorageError,
    Store,
    TrialBusyError,
    TrialFiles,
    keep_plugins,
    require_driver,
)
from ...training import DataSource, TrialSpec
from ...training.plugins import use
from ...training.trial import TrainedWeights
from ..planning.resources import Resources
from .preemption import stop_requested
from .trial_queue import NODE_FAILED

TOLD = (
    *("epoch", "seconds", "device_seconds", "joules", "peak_memory_bytes"),
    *(f"{split}/final/top1" for split in ("validation", "test_by_epoch", "train")),
)
"""Metrics of an epoch that are reported to the driver, where Tune keeps 2 KB per metric. The store has the others."""


def run_trial(
    config: dict[str, Any],
    *,
    store: Store,
    sweep: str,
    plugins: tuple[Plugin, ...],
    driver: str,
    source: DataSource,
    checkpoint_epochs: bool = False,
) -> None:
    """Train the trial that the queue suggested; report each epoch and the end of the attempt.

    It uses a GPU only if the suggestion has a share of one, since Ray hides no GPU from a worker without a share.

    The last report has a `state`: that of the result, `stopped` after SIGTERM, or with a `reason` `busy` (another sweep
    trains it), `crowded` (out of memory on a shared GPU), `failed`, `unwritable` (the storage) or `unreadable` (the
    images). If the trial was
    started and has no result, an exception ends the attempt, so that Tune starts no other trial in this worker.
    """
    # Imported here, because the driver refers to this function and needs no PyTorch.
    from ...training import TrainingInterrupted  # noqa: PLC0415
    from .distributed_launch import NodeFailedError, ProcessDiedError  # noqa: PLC0415

    use(plugins)
    with preserved_process_state():  # it runs code of users, such as the checks of a method's settings
        trial = TrialSpec.from_dict(json.loads(config["spec"]))
    resources = Resources.from_dict(json.loads(config["resources"]))

    report = _EpochReports(trial.recipe.epochs)
    try:
        require_driver(store.sweep_directory(sweep), driver)
        with store.attempt(config["key"], driver) as files:
            keep_plugins(files.directory, [plugin for plugin in plugins if plugin.sha256 in trial.plugins])
            try:
                how = {"source": source, "threads": resources.threads, "checkpoint_epochs": checkpoint_epochs}
                result = _trained(trial, files, store, plugins, resources, config["gpu"], report, how)
            except (TrainingInterrupted, StorageError, StaleAttemptError, ProcessDiedError, NodeFailedError):
                raise
            except BaseException as error:  # such as SystemExit in the optimizer of a plugin
                if report.is_running:
                    raise
                _report_failure(error, files, gpu=config["gpu"])
                if not isinstance(error, Exception):  # which Tune would take for its own
                    raise RuntimeError(_reason(error)) from error
                raise
    except TrialBusyError as error:  # nothing has run here, so this worker can take another trial
        tune.report({"state": "busy", "reason": str(error)})
        return
    except TrainingInterrupted:
        tune.report({"state": "stopped"})
        raise
    except NodeFailedError:
        tune.report({"state": "stopped", "reason": NODE_FAILED})
        raise
    except StorageError as error:
        tune.report({"state": "unwritable", "reason": str(error)})
        raise
    tune.report({"state": result["state"], "seconds": result["seconds"]})


def _trained(
    trial: TrialSpec,
    files: TrialFiles,
    store: Store,
    plugins: tuple[Plugin, ...],
    resources: Resources,
    gpu: float,
    report: Callable[[Record], None],
    how: dict[str, Any],
) -> Record:
    """Train in this process, or in several processes on the trial's machines; return the result."""
    from ...training import train  # noqa: PLC0415 (imports PyTorch)
    from .distributed_launch import train_together  # noqa: PLC0415
    from .other_machines import gloo_interface, own_address, processes_elsewhere  # noqa: PLC0415

    how["device"] = "cuda" if gpu else "cpu"
    weights = functools.partial(source_weights, trial, store)
    with weights() as sources, stop_requested() as stop:
        here = {**sources, "on_epoch": report, "stop": stop}
        if resources.members == 1:
            return train(trial, files, gpu_share=min(1.0, gpu) if gpu else 1.0, **how, **here)
        elsewhere = processes_elsewhere(trial.located, plugins, files, weights, resources, gpu=gpu, settings=how)
        host = own_address(resources.nodes)
        there = {"processes": resources.members, "nodes": resources.nodes, "host": host, "elsewhere": elsewhere}
        with gloo_interface(host):
            return train_together(trial, files, **there, **how, **here)


def _report_failure(error: BaseException, files: TrialFiles, *, gpu: float) -> None:
    """Report why a training failed, and keep the reason with its traceback unless another attempt may succeed."""
    from ...training import OutOfMemoryError  # noqa: PLC0415 (imports PyTorch)

    if isinstance(error, SpecError) and error.field == "dataset":  # no other trial could be trained either
        tune.report({"state": "unreadable", "reason": masked(str(error))})
    elif isinstance(error, OutOfMemoryError) and 0 < gpu < 1:  # the queue retries it with a larger share
        tune.report({"state": "crowded", "reason": _reason(error)})
    else:
        reason = _reason(error)
        tune.report({"state": "failed", "reason": reason})
        files.write_failure({"reason": reason, "traceback": masked("".join(traceback.format_exception(error)))})


def _reason(error: BaseException) -> str:
    """Return the first line of an error, after its type unless the text has it."""
    from ...training import OutOfMemoryError  # noqa: PLC0415 (imports PyTorch)

    kind = "" if isinstance(error, (OutOfMemoryError, UserCodeError)) else f"{type(error).__name__}: "
    return masked(one_line(f"{kind}{error}".strip().partition("\n")[0]))


class _EpochReports:
    """Reports of epochs to Tune, which stops a trial with SystemExit from its report (ray 2.60)."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self.is_running = False

    def __call__(self, record: Record) -> None:
        told = {name: record[name] for name in TOLD if name in record}
        self.is_running = True
        tune.report({**told, "state": "running", "epochs": self._epochs})
        self.is_running = False


@contextmanager
def source_weights(trial: TrialSpec, store: Store) -> Iterator[dict[str, Any]]:
    """Yield the arguments of `train` about teacher and backbone: their weights, and the digests of their results."""
    found: dict[str, Any] = {}
    if isinstance(trial.teacher, TrainedWeights):
        found |= {"teacher": Path(trial.teacher.path), "teacher_sha256": trial.teacher.sha256}
    with ExitStack() as stack:
        for name, source in (("teacher", trial.teacher), ("backbone", trial.backbone)):
            if isinstance(source, TrialSpec):
                files = store.trial(source.key)
                found[name] = stack.enter_context(files.directory.local(WEIGHTS))
                found[f"{name}_sha256"] = (files.result() or {}).get("weights")
        yield found
