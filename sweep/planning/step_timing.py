"""Training throughput measured on a few steps of each network with each method."""

import itertools
import statistics
import time
from collections.abc import Callable, Iterable, Sequence

import torch

from ...specs import SpecError
from ...training import DataSource, TrialSpec
from ...training.compilation import compilation, released_memory
from ...training.distributed import ProcessGroup
from ...training.environment import choose_device, training_conditions
from ...training.first_step import stand_in_teacher
from ...training.loop import TrainingLoop
from ...training.resource_usage import is_out_of_memory
from .plan import SweepPlan
from .resources import Resources
from .throughput import Throughput, step_of

TIMED_STEPS = 4
"""Maximum number of timed steps. They follow one untimed step, which selects algorithms and allocates memory."""
TIMING_LIMIT_S = 10.0
"""Time after which no further step of a trial is timed."""


class TimedThroughput(Throughput):
    """Throughput to which timed trials are added."""

    def measure(self, trial: TrialSpec, source: DataSource, device: torch.device) -> None:
        """Time some steps of a trial. A trial whose dataset was missing before is skipped."""
        absent = f"{trial.dataset.name}: "
        if any(problem.startswith(absent) for problem in self.problems):
            return
        try:
            self._seconds[step_of(trial)] = _seconds_per_image(trial, self._costs.images(trial), source, device)
        except SpecError as error:
            self.problems.append(absent + str(error))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            name = f"{trial.method.name} of {trial.architecture.name}"
            self.problems.append(f"{name}, batch {trial.recipe.batch_size}: {self.device} has too little memory.")


def measure(
    plan: SweepPlan, source: DataSource, watch: Callable[[Iterable[TrialSpec], int], Iterable[TrialSpec]]
) -> Throughput:
    """Time one trial of each kind on this machine, on the type of device that the sweep requests.

    Args:
        plan: whose trials are timed.
        source: of the training images.
        watch: function that gets the trials to time and their number, and yields the trials, for a progress display.
    """
    resources = plan.sweep.resources
    device = choose_device("cpu" if all(one.gpu == 0 for one in resources.each) else "auto")
    pace = TimedThroughput(_described(device, resources.each))
    kinds = {step_of(spec): spec for spec in plan.specs.values()}
    for trial in watch(kinds.values(), len(kinds)):
        with (
            training_conditions(trial.recipe, device, resources.of_spec(trial).threads),
            compilation(trial, processes=1),
            released_memory(trial.recipe.compile),
        ):
            pace.measure(trial, source, device)
    return pace


def _seconds_per_image(trial: TrialSpec, images: float, source: DataSource, device: torch.device) -> float:
    run = TrainingLoop(trial, device, stand_in_teacher(trial), source, ProcessGroup())
    started = time.perf_counter()
    marks = [started]
    for _ in itertools.islice(run.train_epoch(), 1 + TIMED_STEPS):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        marks.append(time.perf_counter())
        if marks[-1] - started > TIMING_LIMIT_S:
            break
    seconds = [after - before for before, after in itertools.pairwise(marks)]
    return statistics.median(seconds[1:] or seconds) / min(trial.recipe.batch_size, images)


def _described(device: torch.device, resources: Sequence[Resources]) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = sorted({one.threads for one in resources})
    return f"cpu, {' or '.join(map(str, threads))} thread{'s' if threads != [1] else ''}"
