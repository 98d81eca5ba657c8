"""Training of one trial, from its spec to its result."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from ..specs import SpecError
from ..store import DamagedFileError, Record, TrialFiles, digest
from .checkpoints import deserialized, serialized
from .compilation import compilation, released_memory
from .data import DataSource
from .distributed import ProcessGroup
from .environment import (
    choose_device,
    describe_conditions,
    describe_environment,
    nondeterministic_operator,
    training_conditions,
)
from .loop import TrainingLoop
from .nonfinite import TrainingDiverged
from .resource_usage import enough_memory
from .rng import seed_modules
from .teacher import SourceWeights
from .trial import TrainedWeights, TrialSpec

CHECKPOINT_SHARE = 0.02
"""Maximum share of the time that is spent on checkpoints at the ends of epochs."""


class TrainingInterrupted(Exception):
    """Training stopped on request, after it wrote a checkpoint."""


def train(
    trial: TrialSpec,
    files: TrialFiles,
    *,
    teacher: Path | None = None,
    teacher_sha256: str | None = None,
    backbone: Path | None = None,
    backbone_sha256: str | None = None,
    source: DataSource = DataSource(),  # noqa: B008 (frozen)
    device: str = "auto",
    gpu_share: float = 1.0,
    threads: int = 1,
    checkpoint_minutes: float = 10.0,
    checkpoint_epochs: bool = False,
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
        backbone: file with the trained weights of `trial.backbone`, under a regime that needs them.
        backbone_sha256: SHA-256 that this file must have; None to accept any. The result records the digest.
        source: location of the images.
        device: `auto`, `cpu`, `cuda` or `cuda:1`; `auto` is the GPU if available.
        gpu_share: share of the GPU that this trial gets, above 0, at most 1; its energy is this share of the GPU's.
        threads: number of CPU threads; runs are bit-identical only if it is equal.
        checkpoint_minutes: maximum number of minutes between two checkpoints. The end of an epoch has a checkpoint as
            well, unless checkpoints would then take more than 2% of the time; the last epoch always has one.
        checkpoint_epochs: True to write a checkpoint after every epoch, because `on_epoch` may end the training.
        on_epoch: function called with the record of each epoch, once it is written. An epoch after the last checkpoint
            is trained and reported again after an interruption.
        stop: function called after each step; training stops if it returns True. In the main thread, SIGTERM also stops
            training.

    Returns:
        Content of `result.json`: the state `done`, or `diverged` with the reason, and the reported metrics.

    Raises:
        TrainingInterrupted: if training was stopped; a checkpoint has been written.
        OutOfMemoryError: if memory is too small; the message suggests a setting that needs less.
        SpecError: if the recipe is deterministic, and an operator has no deterministic algorithm.
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
    taught_by = None if trial.teacher is None else SourceWeights.read(teacher, teacher_sha256)
    started_from = None
    if trial.backbone is not None:
        started_from = SourceWeights.read(backbone, backbone_sha256, of="backbone")
    chosen = choose_device(device)
    if processes.first:
        files.write_spec(trial.to_dict())
    with (
        training_conditions(trial.recipe, chosen, threads),
        compilation(trial, processes=processes.count),
        _terminations() as terminated,
        _deterministic(trial),
        released_memory(trial.recipe.compile),
    ):
        seed_modules(trial.seed, chosen)  # PyTorch's global generators must not depend on earlier trials

        def build() -> TrainingLoop:
            with enough_memory(lambda: _too_large(trial, chosen)):
                run = TrainingLoop(
                    trial, chosen, taught_by, source, processes, backbone=started_from, gpu_share=gpu_share
                )
                with processes.main_process_first(chosen):  # it renames or removes checkpoints that cannot be used
                    _resume(run, files)
            return run

        def wanted() -> bool:
            return terminated() or (stop is not None and stop())

        execution = _Execution(
            files=files,
            processes=processes,
            interval=60 * checkpoint_minutes,
            checkpoint_epochs=checkpoint_epochs,
            on_epoch=on_epoch,
            stop=wanted,
        )
        result = execution.result(build)
        result["environment"] |= {"threads": threads, "gpu_share": gpu_share}
        if processes.first:
            files.write_result(result)
    return result


@dataclass(frozen=True, kw_only=True)
class _Execution:
    """Execution of a training: where its files are, when it writes them, and whom it reports to."""

    files: TrialFiles
    processes: ProcessGroup
    interval: float
    """Maximum number of seconds between two checkpoints."""
    checkpoint_epochs: bool
    on_epoch: Callable[[Record], None] | None
    stop: Callable[[], bool]

    def result(self, build: Callable[[], TrainingLoop]) -> Record:
        """Train to the end, write the weights and return the result. Afterwards, nothing refers to the network."""
        run = build()
        trial, outcome = run.trial, {"state": "done"}
        try:
            with enough_memory(lambda: _advice(run)):
                self._train_to_the_end(run)
        except TrainingDiverged as divergence:
            outcome = {"state": "diverged", "reason": f"{run.place(divergence.step)}: {divergence}"}
        result: Record = (
            outcome
            | run.details
            | {
                "key": trial.key,
                "protocol": trial.reported,
                "seconds": sum(record["seconds"] for record in run.history),
                "metrics": {name: v for name, v in (run.history or [{}])[-1].items() if "/" in name},
                "environment": describe_environment(run.device, run.precision)
                | describe_conditions(trial.recipe, run.device)
                | {"processes": self.processes.count, "energy": run.energy_problem or "measured"},
            }
        )
        if self.processes.first:
            self.files.write_history(run.history)
            if trial.protocol != "paper" or self.files.weights() is None:
                self.files.write_weights(serialized(run.trained_network.state_dict()))
            result["weights"] = digest(self.files.weights() or b"")
            if "teacher" in run.sources:
                result["teacher"] = run.sources["teacher"]
            if trial.backbone is not None:
                result["backbone"] = {"trial": trial.backbone.key, "weights": run.sources["backbone"]}
        return result

    def _train_to_the_end(self, run: TrainingLoop) -> None:
        written, cost = time.monotonic(), 0.0

        def keep() -> None:
            nonlocal written, cost
            started = time.monotonic()
            self._keep(run)
            written = time.monotonic()
            cost = written - started

        while run.epoch < run.trial.recipe.epochs:
            for _ in run.train_epoch():
                due = time.monotonic() - written > self.interval
                if not self.processes.is_sync_step(run.steps, run.device):
                    continue
                stopping, due = self.processes.any_rank(self.stop(), due, device=run.device)
                if stopping or due:
                    keep()
                if stopping:
                    raise TrainingInterrupted(f"stopped in epoch {run.epoch + 1} after step {run.step}")
            is_best = run.finish_epoch() and run.trial.protocol == "paper"
            if self.processes.first and is_best:
                self.files.write_weights(serialized(run.trained_network.state_dict()))
            # Repeating the best epoch on a GPU could give other weights than those that are kept.
            needed = self.checkpoint_epochs or is_best or run.epoch == run.trial.recipe.epochs
            due = time.monotonic() - written > min(self.interval, cost / CHECKPOINT_SHARE)
            if any(self.processes.any_rank(needed or due, device=run.device)):
                keep()
            elif self.processes.first:
                self.files.write_history(run.history)
            if self.on_epoch is not None and self.processes.first:
                self.on_epoch(run.history[-1])

    def _keep(self, run: TrainingLoop) -> None:
        state = run.state()
        if self.processes.first:
            self.files.checkpoints.write(serialized(state), epoch=run.epoch, step=run.step)
            self.files.write_history(run.history)


def _resume(run: TrainingLoop, files: TrialFiles) -> None:
    """Restore the last checkpoint, unless the weights of its teacher or backbone were others."""
    if (checkpoint := files.checkpoints.latest()) is not None:
        state = deserialized(checkpoint, run.device)
        if all(state.get(name, sha256) == sha256 for name, sha256 in run.sources.items()):
            run.restore(state)
        else:
            files.start_over()


def _too_large(trial: TrialSpec, device: torch.device) -> str:
    return (
        f"out of memory before the first step: {trial.architecture.name} with {trial.method.name} and the images of "
        f"{trial.dataset.name} do not fit into the free memory of {device}. Run fewer trials at the same time."
    )


def _advice(run: TrainingLoop) -> str:
    recipe = run.trial.recipe
    without_graphs = "`compile: on` and " if recipe.compile == "cuda_graphs" else ""  # a recipe with both is refused
    return (
        f"out of memory with batch_size {recipe.batch_size} and accumulation {recipe.accumulation}; the peak was "
        f"{run.peak_memory / 2**30:.2f} GiB. Set {without_graphs}`accumulation: {2 * recipe.accumulation}` to need "
        "less memory."
    )


@contextmanager
def _deterministic(trial: TrialSpec) -> Iterator[None]:
    """Raise `SpecError` if an operator has no deterministic algorithm."""
    try:
        yield
    except RuntimeError as error:
        if (operator := nondeterministic_operator(error)) is None:
            raise
        rule = f"`deterministic: true` is impossible for trial {trial.key}: PyTorch has no deterministic {operator}"
        raise SpecError(f"{rule}. Set `deterministic: false` for its recipe.", field="deterministic") from error


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
