"""One trial from its spec to its result."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from .checkpoints import digest
from .data import DataSource
from .directory import Record, TrialDirectory
from .distributed import ProcessGroup
from .environment import choose_device, describe_environment, training_conditions
from .loop import TrainingLoop
from .nonfinite import TrainingDiverged
from .resource_usage import is_out_of_memory
from .trial import TrialSpec


class TrainingInterrupted(Exception):
    """The training was asked to stop, and did after writing a checkpoint."""


class OutOfMemoryError(Exception):
    """The device has less memory than the trial needs."""


def train(
    trial: TrialSpec,
    directory: TrialDirectory,
    *,
    teacher: Path | None = None,
    source: DataSource = DataSource(),  # noqa: B008 (frozen)
    device: str = "auto",
    threads: int = 1,
    checkpoint_minutes: float = 10.0,
    on_epoch: Callable[[Record], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Record:
    """Trains a network, from the directory's last checkpoint on if there is one, and writes the result there.

    Where PyTorch's default process group is initialised, its processes train the network together, each on its share
    of every batch, and the first one writes.

    Args:
        trial: what to train.
        directory: where checkpoints, history, weights and result are written.
        teacher: the file with the trained weights of the trial's teacher, if it has one.
        source: where the images are.
        device: `auto`, `cpu`, `cuda` or `cuda:1`; `auto` is the accelerator if there is one.
        threads: of the processor; part of what makes two runs equal bit for bit.
        checkpoint_minutes: how long after a checkpoint the next one is written, if the epoch has not ended before.
        on_epoch: told each epoch's record as soon as it is kept.
        stop: asked after each step whether to stop; in the main thread, SIGTERM asks for it too.

    Returns:
        The content of `result.json`: the state `done`, or `diverged` with the reason, and what is reported.

    Raises:
        TrainingInterrupted: when it was asked to stop; the checkpoint is written.
        OutOfMemoryError: with what did not fit, and what needs less.
    """
    trial = trial.canonical()
    processes = ProcessGroup.current()
    chosen = choose_device(device)
    if processes.first:
        directory.write_spec(trial.to_dict())
    with training_conditions(threads), _terminations() as terminated:
        torch.manual_seed(trial.seed)  # what is drawn from PyTorch's own generators depends on no trial before

        def wanted() -> bool:
            return terminated() or (stop is not None and stop())

        with _enough_memory(lambda: _too_large(trial, chosen)):
            run = TrainingLoop(trial, chosen, teacher, source, processes)
            with processes.main_process_first(chosen):  # it sets damaged checkpoints aside
                state = directory.checkpoints.latest(chosen)
            if state is not None:
                run.restore(state)
        outcome: Record = {"state": "done"}
        try:
            with _enough_memory(lambda: _advice(run)):
                _train_to_the_end(run, directory, processes, checkpoint_minutes, on_epoch, wanted)
        except TrainingDiverged as divergence:
            outcome = {"state": "diverged", "reason": f"{run.place(divergence.step)}: {divergence}"}
        result = (
            outcome
            | run.details
            | {
                "key": trial.key,
                "protocol": trial.reported,
                "seconds": sum(record["seconds"] for record in run.history),
                "metrics": {name: v for name, v in (run.history or [{}])[-1].items() if "/" in name},
                "environment": describe_environment(chosen, run.precision, threads, processes.count),
            }
        )
        if processes.first:
            if trial.protocol != "paper" or directory.weights() is None:
                directory.write_weights(run.trained_network.state_dict())
            result["weights"] = digest(directory.weights() or b"")
            directory.write_result(result)
    return result


def _train_to_the_end(
    run: TrainingLoop,
    directory: TrialDirectory,
    processes: ProcessGroup,
    checkpoint_minutes: float,
    on_epoch: Callable[[Record], None] | None,
    stop: Callable[[], bool],
) -> None:
    written = time.monotonic()
    while run.epoch < run.trial.recipe.epochs:
        for _ in run.train_epoch():
            due = time.monotonic() - written > 60 * checkpoint_minutes
            if not processes.is_sync_step(run.steps, run.device):
                continue
            stopping, due = processes.any_rank(stop(), due, device=run.device)
            if stopping or due:
                _keep(run, directory, processes)
                written = time.monotonic()
            if stopping:
                raise TrainingInterrupted(f"stopped in epoch {run.epoch + 1} after step {run.step}")
        is_reported = run.finish_epoch()
        if processes.first and run.trial.protocol == "paper" and is_reported:
            directory.write_weights(run.trained_network.state_dict())
        _keep(run, directory, processes)
        written = time.monotonic()
        if on_epoch is not None and processes.first:
            on_epoch(run.history[-1])


def _keep(run: TrainingLoop, directory: TrialDirectory, processes: ProcessGroup) -> None:
    state = run.state()
    if processes.first:
        directory.checkpoints.write(state, epoch=run.epoch, step=run.step)
        directory.write_history(run.history)


@contextmanager
def _enough_memory(advice: Callable[[], str]) -> Iterator[None]:
    """Where there is too little for what is done inside, the advice is given."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(advice()) from error


def _too_large(trial: TrialSpec, device: torch.device) -> str:
    return (
        f"out of memory before the first step: {trial.architecture.name} with {trial.method.name} and the images of "
        f"{trial.dataset.name} do not fit what is free on {device}. Fewer trials at once leave more."
    )


def _advice(run: TrainingLoop) -> str:
    recipe = run.trial.recipe
    return (
        f"out of memory with batch_size {recipe.batch_size} in {recipe.accumulation} part(s); the peak was "
        f"{run.peak_memory / 2**30:.2f} GiB. `accumulation: {2 * recipe.accumulation}` needs less, for the same batch."
    )


@contextmanager
def _terminations() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM, which a machine sends that is about to go, has arrived; only a main thread is told."""
    arrived = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield arrived.is_set
        return
    before = signal.signal(signal.SIGTERM, lambda *_: arrived.set())
    try:
        yield arrived.is_set
    finally:
        signal.signal(signal.SIGTERM, before)
