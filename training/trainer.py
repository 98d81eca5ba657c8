"""One trial from its spec to its result."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..losses import LossInputs
from ..models import ExitOutputs
from ..specs import SpecError
from .batches import TrainingBatches, evaluation_batches
from .data import Images
from .directory import Record, TrialDirectory
from .environment import Precision, choose_device, choose_precision, describe_environment
from .evaluation import Accuracies
from .student import build_student, network_shape
from .teacher import build_teacher
from .trial import TrialSpec


class Diverged(Exception):  # noqa: N818 (an outcome of training, not an error of the program)
    """A loss term is no longer finite."""


def train(
    trial: TrialSpec,
    directory: TrialDirectory,
    *,
    teacher: Path | None = None,
    device: str = "auto",
    threads: int = 1,
    on_epoch: Callable[[Record], None] | None = None,
) -> Record:
    """Trains a network, from the directory's last checkpoint on if there is one, and writes the result there.

    Args:
        trial: what to train.
        directory: where checkpoint, history, weights and result are written.
        teacher: the file with the trained weights of the trial's teacher, if it has one.
        device: `auto`, `cpu`, `cuda` or `cuda:1`; `auto` is the accelerator if there is one.
        threads: of the processor; part of what makes two runs equal bit for bit.
        on_epoch: told each epoch's record as soon as it is kept.

    Returns:
        The content of `result.json`: the state `done`, or `diverged` with the reason, and the last metrics.
    """
    trial = trial.canonical()
    directory.write_spec(trial.to_dict())
    with _isolated(trial.seed, threads):
        run = _Run(trial, choose_device(device), teacher)
        if (state := directory.checkpoint(run.device)) is not None:
            run.restore(state)
        outcome: Record = {"state": "done"}
        try:
            while run.epoch < trial.recipe.epochs:
                run.train_epoch()
                directory.write_checkpoint(run.state(), run.history)
                if on_epoch is not None:
                    on_epoch(run.history[-1])
        except Diverged as divergence:
            outcome = {"state": "diverged", "reason": str(divergence)}
    directory.write_weights(run.network.state_dict())
    result = outcome | {
        "key": trial.key,
        "protocol": trial.protocol,
        "seconds": sum(record["seconds"] for record in run.history),
        "metrics": {name: v for name, v in (run.history or [{}])[-1].items() if "/" in name},
        "environment": describe_environment(run.device, run.precision, threads),
    }
    directory.write_result(result)
    return result


class _Run:
    """The moving parts of a training: everything here is either built from the spec or in the checkpoint."""

    def __init__(self, trial: TrialSpec, device: torch.device, teacher: Path | None) -> None:
        self.trial = trial
        self.device = device
        self.facts = trial.dataset_facts
        self.precision: Precision = choose_precision(trial.recipe.precision, device)
        self.generator = torch.Generator().manual_seed(trial.seed)  # order and augmentation of the images
        train_images, self.test_images = self.facts.load()
        self.batches = TrainingBatches(train_images, self.facts, trial.recipe, device, self.generator)
        self.network = build_student(trial).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.teacher = _trained_teacher(trial, teacher, device)
        self.shape = network_shape(trial)
        self.loss = trial.method.build(self.shape).to(device)
        recipe = trial.recipe
        self.optimizer = torch.optim.SGD(
            [*self.network.parameters(), *self.loss.parameters()],
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            weight_decay=recipe.weight_decay,
        )
        self.past_logits: Tensor | None = None  # of all training images in the epoch before
        self.history: list[Record] = []

    @property
    def epoch(self) -> int:
        return len(self.history)

    def train_epoch(self) -> None:
        """One pass over the training images; after the last one, the only look at the test images."""
        started = time.perf_counter()
        self.network.train()
        self.loss.train()
        accuracies = Accuracies(self.shape.exits, self.device)
        term_sums: dict[str, Tensor] = {}
        logits_of_this_epoch = None
        if self.trial.method.needs_past:
            logits_of_this_epoch = torch.empty(len(self.batches), self.shape.classes, device=self.device)
        batches = self.batches.epoch()
        for step, numbers in enumerate(batches):
            self._set_learning_rate(self.epoch * len(batches) + step, len(batches))
            inputs = self._loss_inputs(numbers)
            terms = self._step(inputs)
            accuracies.add(inputs.logits, inputs.labels)
            if logits_of_this_epoch is not None:
                logits_of_this_epoch[numbers.to(self.device)] = inputs.logits[-1].detach().float()
            for name, term in terms.items():
                term_sums[name] = term_sums.get(name, 0) + term * len(numbers)
        self.past_logits = logits_of_this_epoch
        terms = {f"train/loss/{name}": float(total) / len(self.batches) for name, total in term_sums.items()}
        record = {"epoch": self.epoch + 1, **terms, **accuracies.summary("train")}
        record["train/learning_rate"] = self.optimizer.param_groups[0]["lr"]
        record["seconds"] = time.perf_counter() - started
        record["time"] = time.time()
        if self.epoch + 1 == self.trial.recipe.epochs:
            record |= self._evaluate(self.test_images).summary("test")
            if unusable := [name for name, value in record.items() if not math.isfinite(value)]:
                raise Diverged(f"after the last epoch these are not finite: {', '.join(unusable)}")
        self.history.append(record)

    def state(self) -> dict[str, Any]:
        """All that the next epoch depends on, besides the spec."""
        return {
            "network": self.network.state_dict(),
            "loss": self.loss.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "global_generator": torch.get_rng_state(),
            "past_logits": self.past_logits,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on where a checkpoint was written."""
        self.network.load_state_dict(state["network"])
        self.loss.load_state_dict(state["loss"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"].cpu())
        torch.set_rng_state(state["global_generator"].cpu())
        self.past_logits = state["past_logits"]
        self.history = state["history"]

    def _loss_inputs(self, numbers: Tensor) -> LossInputs:
        """What the networks say of the training images with these numbers."""
        inputs, labels = self.batches.batch(numbers)
        outputs = self._forward(self.network, inputs)
        teacher, pair_logits = None, None
        with torch.no_grad():
            if self.teacher is not None:
                teacher = self._forward(self.teacher, inputs)
            if self.trial.method.needs_pairs:
                others, _ = self.batches.batch(self.batches.of_the_same_classes(numbers))
                pair_logits = self._forward(self.network, others).logits[-1]
        return LossInputs(
            logits=outputs.logits,
            features=outputs.features,
            labels=labels,
            progress=(self.epoch + 1) / self.trial.recipe.epochs,
            maps=outputs.maps,
            stages=outputs.stages,
            teacher_logits=teacher.logits[-1] if teacher else None,
            teacher_stages=teacher.stages if teacher else (),
            past_logits=None if self.past_logits is None else self.past_logits[numbers.to(self.device)],
            pair_logits=pair_logits,
        )

    def _forward(self, network: nn.Module, inputs: Tensor) -> ExitOutputs:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            return network(inputs)

    def _step(self, inputs: LossInputs) -> dict[str, Tensor]:
        terms = self.loss(inputs)
        total = torch.stack(list(terms.values())).sum()
        if not torch.isfinite(total):
            named = ", ".join(f"{name} {float(term.detach()):g}" for name, term in terms.items())
            raise Diverged(f"the loss is not finite in epoch {self.epoch + 1} ({named})")
        self.optimizer.zero_grad()
        total.backward()
        self.optimizer.step()
        return {name: term.detach() for name, term in terms.items()}

    def _set_learning_rate(self, step: int, steps_per_epoch: int) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.trial.recipe.learning_rate_at(step, steps_per_epoch)

    @torch.no_grad()
    def _evaluate(self, images: Images) -> Accuracies:
        self.network.eval()
        accuracies = Accuracies(self.shape.exits, self.device)
        for inputs, labels in evaluation_batches(images, self.facts, self.device):
            accuracies.add(self._forward(self.network, inputs).logits, labels)
        return accuracies


def _trained_teacher(trial: TrialSpec, weights: Path | None, device: torch.device) -> nn.Module | None:
    if trial.teacher is None:
        return None
    if weights is None or not weights.exists():
        raise SpecError(f"the teacher's weights are not there: {weights}.", field="teacher")
    network = build_teacher(trial, weights).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval().requires_grad_(False)


@contextmanager
def _isolated(seed: int, threads: int) -> Iterator[None]:
    """What a trial draws from PyTorch's global generators depends on its seed and on no trial before it."""
    threads_before = torch.get_num_threads()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(threads_before)
