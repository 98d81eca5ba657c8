"""Training throughput of trials, measured or assumed."""

from ...training import TrialSpec
from .cost import Costs

Step = tuple[object, ...]
"""Properties of a trial on which the time of a step depends."""


class Throughput:
    """Measured training time per image on one device, for each kind of step."""

    origin = "from steps timed on this machine"
    """Source of the times, as text."""

    def __init__(self, device: str) -> None:
        """Create an empty throughput of the device with this description."""
        self.device = device
        self.problems: list[str] = []
        """Reasons why some trials were not measured, without duplicates."""
        self._seconds: dict[Step, float] = {}
        self._costs = Costs()

    def seconds_per_image(self, trial: TrialSpec) -> float | None:
        """Return the seconds of training per image on a device that trains one trial; None if not measured."""
        return self._seconds.get(step_of(trial))


class AssumedPace(Throughput):
    """Training time per image at a constant number of multiply-adds a second.

    Small networks, which do not saturate a device, train slower than that.
    """

    origin = "assumed, not measured"

    def __init__(self, throughput: float) -> None:
        """Create the throughput of a device with this number of multiply-adds of training a second."""
        super().__init__(f"{throughput:.3g} multiply-adds a second")
        self._throughput = throughput

    def seconds_per_image(self, trial: TrialSpec) -> float:
        """Return the seconds of training per image on a device that trains one trial."""
        return self._costs.training(trial) / (self._costs.images(trial) * trial.recipe.epochs * self._throughput)


def step_of(trial: TrialSpec) -> Step:
    """Return the properties on which a trial's step time depends; equal tuples mean equal times per image."""
    recipe, teacher = trial.recipe, trial.teacher
    return (
        trial.dataset,
        trial.architecture,
        trial.exits,
        trial.method.name,
        trial.exit_count if trial.method.cohort else None,
        teacher and (teacher.architecture, getattr(teacher, "exits", None)),
        *(recipe.batch_size, recipe.accumulation, recipe.precision, recipe.compile, recipe.optimizer),
        *(recipe.ema_decay > 0, recipe.crop, recipe.flip, recipe.policy, recipe.mixes_labels, recipe.cutout > 0),
    )
