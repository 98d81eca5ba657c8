"""Training of one trial, from its spec to its result."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ..store import DamagedFileError, Record, TrialFiles, digest
from .checkpoints import deserialized, serialized
from .data import DataSource
from .distributed import ProcessGroup
from .environment import choose_device, describe_environment, training_conditions
from .loop import TrainingLoop
from .nonfinite import TrainingDiverged
from .resource_usage import enough_memory
from .teacher import TeacherWeights
from .trial import TrainedWeights, TrialSpec


class TrainingInterrupted(Exception):
    """Training stopped on request, after it wrote a checkpoint."""


def train(
    trial: TrialSpec,
    files: TrialFiles,
    *,
    teacher: Path | None = None,
    teacher_sha256: str | None = None,
    source: DataSource = DataSource(),  # noqa: B008 (frozen)
    device: str = "auto",
    threads: int = 1,
    checkpoint_minutes: float = 10.0,
    on_epoch: Callable[[Record], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Record:
    """Train a network and write its result. An existing result is returned; the last checkpoint is resumed.

    If PyTorch's default process group is initialised, its processes train the network together, each on its share of
    every batch. Only rank 0 writes files.

    Args:
        trial: spec of the trial.
        files: destination of checkpoints, history, weights and result.
        teacher: file with the trained weights of the trial's teacher, if it has one.
        teacher_sha256: SHA-256 that this file must have; None to accept any, unless the spec of the trial has a digest.
            The result records the digest.
        source: location of the images.
        device: `auto`, `cpu`, `cuda` or `cuda:1`; `auto` is the GPU if available.
        threads: number of CPU threads; runs are bit-identical only if it is equal.
        checkpoint_minutes: minutes between checkpoints within an epoch; each epoch also ends with a checkpoint.
        on_epoch: function called with the record of each epoch, once its checkpoint is written.
        stop: function called after each step; training stops if it returns True. In the main thread, SIGTERM also stops
            training.

    Returns:
        Content of `result.json`: the state `done`, or `diverged` with the reason, and the reported metrics.

    Raises:
        TrainingInterrupted: if training was stopped; a checkpoint has been written.
        OutOfMemoryError: if memory is too small; the message suggests a setting that needs less.
    """
    processes = ProcessGroup.current()
    try:
        if (result := files.result()) is not None:
            return result
    except DamagedFileError:
        if processes.first:
            files.set_result_aside()
    trial = trial.canonical()
    if isinstance(trial.teacher, TrainedWeights):
        teacher_sha256 = trial.teacher.sha256
    weights = None if trial.teacher is None else TeacherWeights.read(teacher, teacher_sha256)
    chosen = choose_device(device)
    if processes.first:
        files.write_spec(trial.to_dict())
    with training_conditions(threads), _terminations() as terminated:
        torch.manual_seed(trial.seed)  # PyTorch's global generators must not depend on earlier trials

        def wanted() -> bool:
            return terminated() or (stop is not None and stop())

        with enough_memory(lambda: _too_large(trial, chosen)):
            run = TrainingLoop(trial, chosen, weights, source, processes)
            with processes.main_process_first(chosen):  # it renames or removes checkpoints that cannot be used
                _resume(run, files)
        outcome: Record = {"state": "done"}
        try:
            with enough_memory(lambda: _advice(run)):
                _train_to_the_end(run, files, processes, checkpoint_minutes, on_epoch, wanted)
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
            if trial.protocol != "paper" or files.weights() is None:
                files.write_weights(serialized(run.trained_network.state_dict()))
            result["weights"] = digest(files.weights() or b"")
            if run.teacher_sha256 is not None:
                result["teacher"] = run.teacher_sha256
            files.write_result(result)
    return result


def _resume(run: TrainingLoop, files: TrialFiles) -> None:
    """Restore the last checkpoint, unless the weights of its teacher were others."""
    if (checkpoint := files.checkpoints.latest()) is not None:
        state = deserialized(checkpoint, run.device)
        if state.get("teacher", run.teacher_sha256) == run.teacher_sha256:
            run.restore(state)
        else:
            files.start_over()


def _train_to_the_end(
    run: TrainingLoop,
    files: TrialFiles,
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
                _keep(run, files, processes)
                written = time.monotonic()
            if stopping:
                raise TrainingInterrupted(f"stopped in epoch {run.epoch + 1} after step {run.step}")
        is_reported = run.finish_epoch()
        if processes.first and run.trial.protocol == "paper" and is_reported:
            files.write_weights(serialized(run.trained_network.state_dict()))
        _keep(run, files, processes)
        written = time.monotonic()
        if on_epoch is not None and processes.first:
            on_epoch(run.history[-1])


def _keep(run: TrainingLoop, files: TrialFiles, processes: ProcessGroup) -> None:
    state = run.state()
    if processes.first:
        files.checkpoints.write(serialized(state), epoch=run.epoch, step=run.step)
        files.write_history(run.history)


def _too_large(trial: TrialSpec, device: torch.device) -> str:
    return (
        f"out of memory before the first step: {trial.architecture.name} with {trial.method.name} and the images of "
        f"{trial.dataset.name} do not fit into the free memory of {device}. Run fewer trials at the same time."
    )


def _advice(run: TrainingLoop) -> str:
    recipe = run.trial.recipe
    return (
        f"out of memory with batch_size {recipe.batch_size} and accumulation {recipe.accumulation}; the peak was "
        f"{run.peak_memory / 2**30:.2f} GiB. Set `accumulation: {2 * recipe.accumulation}` to need less memory."
    )


@contextmanager
def _terminations() -> Iterator[Callable[[], bool]]:
    """Catch SIGTERM, and yield a function that returns True once it has arrived; only the main thread can catch it."""
    arrived = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield arrived.is_set
        return
    before = signal.signal(signal.SIGTERM, lambda *_: arrived.set())
    try:
        yield arrived.is_set
    finally:
        signal.signal(signal.SIGTERM, before)
