"""What trials cost, found without running them: multiply-adds of their training."""

from pathlib import Path

import torch

from ...models import ArchitectureSpec, architectures, multiply_adds, resolve
from ...models.heads import build_head
from ...models.trunk import Trunk
from ...training import TrialSpec
from ...training.data.folders import PREFIX, class_names, list_images

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
"""Of public data sets, which need not be here to be planned with."""


class Costs:
    """Multiply-adds of trials. Each network and each head is counted once for all trials that have it."""

    def __init__(self) -> None:
        self._trunks: dict[tuple[str, str], tuple[Trunk, int]] = {}
        self._heads: dict[tuple[str, str, int, str], int] = {}
        self._images: dict[str, int] = {}

    def training(self, trial: TrialSpec) -> float:
        """Of a trial's whole training, without that of its teacher and without what is measured after epochs.

        A backward pass counts as two forward passes; the teacher only has forward passes.
        """
        forward = self.forward(trial)
        passes = 3 * forward
        if trial.method.needs_pairs:
            passes += forward
        if isinstance(trial.teacher, TrialSpec):
            passes += self.forward(trial.teacher)
        elif trial.teacher is not None:
            passes += self._trunk(trial, trial.teacher.architecture)[1]
        return passes * self.images(trial) * trial.recipe.epochs

    def until_done(self, trial: TrialSpec) -> float:
        """Of a trial's training and of all trainings that it has to wait for."""
        before = self.until_done(trial.teacher) if isinstance(trial.teacher, TrialSpec) else 0.0
        return before + self.training(trial)

    def forward(self, trial: TrialSpec) -> int:
        """Of one image passing the network or networks that a trial trains, with all exits."""
        trunk, count = self._trunk(trial, trial.architecture)
        if trial.method.cohort:
            return trial.exit_count * count
        blocks = resolve(trial.exits.placement, trial.layout) if trial.exit_count > 1 else ()
        return count + sum(self._head(trial, trunk, block) for block in blocks)

    def images(self, trial: TrialSpec) -> float:
        """How many a trial's network sees in an epoch."""
        name = trial.dataset.name
        if name not in self._images:
            self._images[name] = TRAINING_IMAGES[name] if name in TRAINING_IMAGES else _counted(name)
        return self._images[name] * (1 - trial.validation)

    def _trunk(self, trial: TrialSpec, architecture: ArchitectureSpec) -> tuple[Trunk, int]:
        facts = trial.dataset_facts
        key = (trial.dataset.name, architecture.name)
        if key not in self._trunks:
            with torch.device("meta"):  # no weights, shapes alone
                trunk = architectures[architecture.name](channels=facts.image_shape[0], classes=facts.classes)
            self._trunks[key] = trunk, multiply_adds(trunk, (1, *facts.image_shape))
        return self._trunks[key]

    def _head(self, trial: TrialSpec, trunk: Trunk, block: int) -> int:
        facts = trial.dataset_facts
        key = (trial.dataset.name, trial.architecture.name, block, trial.exits.head)
        if key not in self._heads:
            with torch.device("meta"):
                head = build_head(trial.exits.head, trunk, block, facts.classes)
                seen = _map_after(trunk, block, torch.empty(1, *facts.image_shape))
            self._heads[key] = multiply_adds(head, tuple(seen.shape))
        return self._heads[key]


@torch.no_grad()
def _map_after(trunk: Trunk, number: int, images: torch.Tensor) -> torch.Tensor:
    """What an exit after a block sees."""
    hidden = trunk.eval().stem(images)
    for earlier in range(1, number + 1):
        hidden = trunk.block(earlier)(hidden)
    return trunk.block(number).tap(hidden)


def _counted(dataset: str) -> int:
    """The training images in a folder of one's own."""
    train = Path(dataset.removeprefix(PREFIX)).expanduser() / "train"
    return sum(len(list_images(train / name)) for name in class_names(train))
