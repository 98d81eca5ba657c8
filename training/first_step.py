"""First training step of a trial with a few real images on the CPU, to find mistakes before a sweep starts."""

import itertools
from contextlib import suppress
from pathlib import Path

import torch

from ..specs import SpecError, one_line
from ..specs.user_code import UserCodeError, formatted, refused, user_code
from ..store import digest
from .checkpoints import serialized
from .data import DataSource
from .distributed import ProcessGroup
from .environment import training_conditions
from .loop import TrainingLoop
from .loss_terms import passes
from .nonfinite import TrainingDiverged
from .resource_usage import is_out_of_memory
from .rng import seed_modules
from .student import build_student, network_code
from .teacher import SourceWeights
from .trial import TrainedWeights, TrialSpec

IMAGES = 8
"""Number of training images of the step."""
DEVICE = torch.device("cpu")


def first_step(trial: TrialSpec, source: DataSource, *, threads: int = 1) -> None:
    """Train one step of a trial with real images, and evaluate its network, as a training would.

    The batch is small, and nothing is compiled. All else is as in the recipe. Too little memory is no error, because
    a training may have another device.

    Raises:
        SpecError: if the step fails: with file and line if the cause is code of a user.
    """
    trial = _small(trial)
    subject = f"the first training step of {trial.method.name} on {trial.architecture.name}"
    code = (type(trial.method), *network_code(trial))
    try:
        with training_conditions(trial.recipe, DEVICE, threads), user_code(subject, *code, unless=passes):
            seed_modules(trial.seed, DEVICE)
            loop = TrainingLoop(trial, DEVICE, stand_in_teacher(trial), source, ProcessGroup(), images=IMAGES)
            try:
                for _ in itertools.islice(loop.train_epoch(), 1):
                    pass
            except TrainingDiverged as error:
                fix = "check divisions, logarithms and square roots for zero, and the learning rate"
                place = type(trial.method).loss, *code
                raise refused(subject, f"gives numbers that are not finite: {error}; {fix}.", *place) from error
            with suppress(TrainingDiverged):  # after one step with so few images, the evaluation need not be finite
                loop.finish_epoch()
    except SpecError:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            text = one_line(str(error).strip().partition("\n")[0]).rstrip(".")
            problem = f"{subject} failed: {type(error).__name__}: {text}"
            raise UserCodeError(f"{problem}. Correct or remove this combination.", trace=formatted(error)) from error


def stand_in_teacher(trial: TrialSpec) -> SourceWeights | None:
    """Return the teacher's weights; for an untrained teacher its initial weights, which give equal times."""
    if trial.teacher is None:
        return None
    if isinstance(trial.teacher, TrainedWeights):
        return SourceWeights.read(Path(trial.teacher.path), trial.teacher.sha256)
    content = bytes(serialized(build_student(trial.teacher).state_dict()))
    return SourceWeights(path=Path("teacher.pt"), content=content, sha256=digest(content))


def _small(trial: TrialSpec) -> TrialSpec:
    """Return the trial with a small batch, for the CPU; the protocol evaluates after each epoch."""
    recipe = trial.recipe
    small = recipe.replace(
        batch_size=IMAGES,
        accumulation=1,
        compile="off",
        sync_batch_norm=False,
        evaluate_every=1,
        precision="bf16" if recipe.precision == "bf16" else "fp32",
    )
    return trial.replace(recipe=small, protocol="paper", validation=0.0)
