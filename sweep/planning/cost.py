"""Cost of trials in multiply-adds (MACs) of their training, computed without running them."""

from ...models import head_multiply_adds, resolve
from ...training import DatasetSpec, DataSource, TrialSpec, datasets
from ...training.data import share_of

TRAINING_IMAGES = {
    "cifar10": 50_000,
    "cifar100": 50_000,
    "digits": 1_438,
    "fashion_mnist": 60_000,
    "imagenet": 1_281_167,
    "mnist": 60_000,
    "stl10": 5_000,
    "svhn": 73_257,
    "tiny_imagenet": 100_000,
}
"""Number of training images by public dataset, so that a plan does not need the files."""


class Costs:
    """Multiply-adds of trials. Each network and each head is counted once and cached."""

    def __init__(self) -> None:
        self._networks: dict[tuple[object, ...], int] = {}
        self._heads: dict[tuple[DatasetSpec, str, int, str], int] = {}
        self._images: dict[DatasetSpec, float] = {}

    def training(self, trial: TrialSpec) -> float:
        """Return the multiply-adds of a trial's whole training.

        The training of its teacher and the evaluations after epochs are not included. A backward pass counts as two
        forward passes; the teacher has only forward passes.
        """
        forward, whole = self.forward(trial), trial.layout.cost.whole
        passes = trial.method.student_passes() * forward
        if trial.regime == "disjoint":  # no backward pass through the backbone
            passes -= 2 * whole
        elif trial.regime == "branchwise":  # backward pass through one part at a time
            passes -= 2 * forward * (1 - 1 / trial.exit_count)
        if isinstance(trial.teacher, TrialSpec):
            passes += trial.method.teacher_passes() * self.forward(trial.teacher)
        elif (layout := trial.teacher_layout) is not None:
            passes += trial.method.teacher_passes() * layout.cost.whole
        return passes * self.images(trial) * trial.recipe.epochs

    def until_done(self, trial: TrialSpec) -> float:
        """Return the multiply-adds of a trial's training and of the trainings that it needs."""
        return sum(map(self.until_done, trial.sources)) + self.training(trial)

    def forward(self, trial: TrialSpec) -> int:
        """Return the multiply-adds of a forward pass of one image through all networks of a trial, with all exits."""
        networks = trial.exit_count if trial.method.cohort else 1
        exits = trial.exits
        key = (trial.dataset, trial.architecture.name, exits.placement, exits.head, networks)
        if key not in self._networks:
            heads = sum(self._head(trial, block) for block in resolve(exits.placement, trial.layout))
            self._networks[key] = networks * trial.layout.cost.whole + heads
        return self._networks[key]

    def images(self, trial: TrialSpec) -> float:
        """Return the number of training images of an epoch of a trial."""
        dataset = trial.dataset
        if dataset not in self._images:
            self._images[dataset] = share_of(dataset.name)[1] * _counted(dataset)
        return self._images[dataset] * (1 - trial.validation)

    def _head(self, trial: TrialSpec, block: int) -> int:
        key = (trial.dataset, trial.architecture.name, block, trial.exits.head)
        if key not in self._heads:
            classes = trial.dataset_facts.classes
            self._heads[key] = head_multiply_adds(trial.exits.head, trial.layout, block, classes)
        return self._heads[key]


def _counted(dataset: DatasetSpec) -> int:
    """Return the number of all training images; the dataset of a plugin is loaded to count them."""
    whole, _ = share_of(dataset.name)
    if dataset.folder is None and whole in TRAINING_IMAGES:
        return TRAINING_IMAGES[whole]
    if (number := dataset.facts.training_images) is not None:
        return number
    train, _ = datasets[whole].load(DataSource())
    return len(train)
