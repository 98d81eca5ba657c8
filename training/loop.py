"""Training loop, whose parts are built from the spec or restored from a checkpoint."""

import functools
import math
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import SyncBatchNorm

from ..models import Cohort, MultiExitNetwork
from ..specs import SpecError
from ..specs.user_code import user_code
from ..store import Record
from .batch_norm import BatchCounters
from .batches import EvaluationBatches, TrainingBatches
from .compilation import compile_networks
from .data import DataSource, ImageSet, split_validation
from .data.split import SPLIT_SEED
from .distributed import ProcessGroup
from .early_exit_metrics import EarlyExitMetrics
from .environment import Precision, choose_precision
from .epoch_metrics import EpochMetrics
from .evaluation import ExitMetrics
from .loss_terms import loss_code, passes
from .nonfinite import NonFiniteDetector, TrainingDiverged
from .optimizer import OptimizerStep
from .regimes import RegimeSchedule, check_regime, load_backbone
from .resource_usage import ResourceUsage
from .rng import derive_seed, seed_modules
from .step import Batch, TrainingStep
from .student import build_student, leaving_costs, network_code, network_costs, network_shape
from .teacher import SourceWeights, build_teacher
from .trial import TrialSpec


class TrainingLoop:
    """Training of one network: its position in epochs and steps, and the metrics so far."""

    def __init__(
        self,
        trial: TrialSpec,
        device: torch.device,
        teacher: SourceWeights | None,
        source: DataSource,
        processes: ProcessGroup,
        *,
        backbone: SourceWeights | None = None,
        gpu_share: float = 1.0,
        images: int | None = None,
    ) -> None:
        """Start at the first step of the first epoch.

        Args:
            trial: Spec of the trial.
            device: Device that trains.
            teacher: Weights of the teacher, if any.
            source: Location of the images.
            processes: Processes that train the network together.
            backbone: Weights that the backbone starts with. Default: the initial weights.
            gpu_share: Share of the GPU that this trial gets.
            images: Number of training and of test images to use. Default: all.
        """
        self.trial = trial
        self.device = device
        self.precision: Precision = choose_precision(trial.recipe.precision, device)
        self._processes = processes
        self._gpu_share = gpu_share
        self._facts = trial.dataset_facts
        train_images, test_images = self._facts.load(source)
        if images is not None:
            train_images, test_images = (_some(all_images, images) for all_images in (train_images, test_images))
        evaluated = functools.partial(EvaluationBatches, facts=self._facts, device=device, processes=processes)
        self._test_images, self._validation_images = evaluated(test_images), None
        if trial.validation:
            train_images, held_out = split_validation(train_images, fraction=trial.validation, seed=SPLIT_SEED)
            self._validation_images = evaluated(held_out)
        self._batches = TrainingBatches(
            train_images, self._facts, trial.recipe, seed=trial.seed, device=device, processes=processes
        )
        self._network = _student(trial, backbone, processes).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._regime = RegimeSchedule(trial.regime, self._network, trial.recipe.epochs)
        self._shape = network_shape(trial, self._network, train_images.labels)
        about = f"Its networks have {self._shape}."
        with user_code(
            f"method {trial.method.name!r}",
            trial.method.build_learned,
            type(trial.method),
            received=lambda _: about,
            unless=passes,
        ):
            self._loss = trial.method.build(self._shape).to(device)
        if trial.recipe.sync_batch_norm and processes.count > 1:
            if device.type == "cpu":
                rule = "`sync_batch_norm` needs GPUs, since PyTorch has no synchronised batch normalisation for CPUs"
                raise SpecError(f"{rule}; set it to false.", field="sync_batch_norm")
            for module in (self._network, self._loss):
                SyncBatchNorm.convert_sync_batchnorm(module)  # replaces submodules in place
        self._updates = OptimizerStep(trial.recipe, self._network, self._loss)
        taught_by = _trained_teacher(trial, teacher, device, self.precision)
        self._code = network_code(trial)
        objective = TrainingStep(
            self._network, self._loss, taught_by, precision=self.precision, device=device, code=self._code
        )
        average = self._updates.average.network if self._updates.average else None
        compile_networks(trial.recipe.compile, self._network, taught_by, average)
        loss_has_buffers = next(self._loss.buffers(), None) is not None  # they depend on the images of a process
        self._objective = processes.parallel(objective, broadcast_buffers=loss_has_buffers)
        self._counters = BatchCounters(self._network)
        self._watch = NonFiniteDetector(device, alone=processes.count == 1)
        self._progress = torch.zeros((), dtype=torch.float64, device=device)
        self._past_logits: Tensor | None = None  # of all training images, from the previous epoch
        self.sources = {
            name: weights.sha256 for name, weights in (("teacher", teacher), ("backbone", backbone)) if weights
        }
        """SHA-256 of the weights that the training depends on: `teacher`, `backbone`."""
        self.history: list[Record] = []
        """Records of the completed epochs."""
        self.details: Record = {}
        """Results of the reported epoch that are not scalars: `reliability`, `early_exit`."""
        self._usage = ResourceUsage(device)
        self._evaluated_details = self.details  # of the last evaluation
        self._start_epoch()

    @property
    def epoch(self) -> int:
        """Number of completed epochs."""
        return len(self.history)

    @property
    def step(self) -> int:
        """Number of completed steps of the current epoch."""
        return self._totals.step

    @property
    def steps(self) -> int:
        """Number of completed steps over all epochs."""
        return self.epoch * self._batches.steps_per_epoch + self.step

    @property
    def trained_network(self) -> nn.Module:
        """Network that is evaluated and saved: the network itself, or its moving average."""
        self._update_counters()
        return self._updates.average.network if self._updates.average else self._network

    def train_epoch(self) -> Iterator[dict[str, Tensor]]:
        """Train the rest of the epoch; yield the loss terms after each step.

        Raises:
            TrainingDiverged: once the host detects a loss or a gradient that is not finite.
        """
        started, seconds_before = time.perf_counter(), self._totals.seconds
        self._usage = ResourceUsage(self.device)
        self._progress.fill_((self.epoch + 1) / self.trial.recipe.epochs)
        self._update_counters()
        self._objective.train()
        self._regime.start_epoch(self.epoch)
        method = self.trial.method
        batches = self._batches.steps(
            self.epoch, self.step, pairs=method.needs_same_class_pairs, second_view=method.second_view
        )
        for parts in batches:
            terms = self._train_step(parts)
            self._totals.seconds = seconds_before + time.perf_counter() - started
            yield terms
        self._watch.check()  # waits for the device, so that the time includes all steps
        self._totals.seconds = seconds_before + time.perf_counter() - started

    def finish_epoch(self) -> bool:
        """Evaluate the network after the last step of an epoch, record the epoch, and start the next one.

        Returns:
            True if the protocol would report this network if training ended here.

        Raises:
            TrainingDiverged: if a metric is not finite.
        """
        recipe, seconds = self.trial.recipe, self._totals.seconds
        record: Record = {"epoch": self.epoch + 1, **self._totals.record()}
        record["train/learning_rate"] = self._learning_rate(self._batches.steps_per_epoch - 1)
        record |= self._measured(last=self.epoch + 1 == recipe.epochs)
        reported = record
        if self.trial.protocol == "paper":
            reported = max([*self.history, record], key=lambda epoch: epoch.get("test_by_epoch/final/top1", -1.0))
        if self.epoch + 1 == recipe.epochs:
            record |= {name.replace("test_by_epoch", "test"): v for name, v in reported.items() if "by_epoch" in name}
            record |= network_costs(self._network, self._facts.image_shape)
        if broken := {name: value for name, value in record.items() if not math.isfinite(value)}:
            raise TrainingDiverged((self.epoch + 1) * self._batches.steps_per_epoch - 1, broken)
        record |= {"images_per_second": self._batches.images / seconds, "peak_memory_bytes": self.peak_memory}
        if not math.isnan(joules := self._joules()):
            record["joules"] = joules
        record |= {"seconds": seconds, "time": time.time()}
        record["device_seconds"] = seconds * self._gpu_share * self._processes.count
        self._past_logits = self._totals.logits()
        if reported is record:
            self.details = self._evaluated_details
        self.history.append(record)
        self._start_epoch()
        return reported is record

    @property
    def peak_memory(self) -> int:
        """Peak memory of the epoch in bytes."""
        return self._usage.peak_memory()

    @property
    def energy_problem(self) -> str:
        """Reason why the energy of the last epoch was not measured; empty if it was."""
        return self._usage.energy_problem

    def place(self, step: int) -> str:
        """Return the position of a step, counted from 0 over all epochs, such as `epoch 2, step 3`."""
        epoch, step = divmod(step, self._batches.steps_per_epoch)
        return f"epoch {epoch + 1}, step {step + 1}"

    def state(self) -> dict[str, Any]:
        """Return everything that the next step depends on besides the spec, equal in every process.

        Every process must make this call.

        Raises:
            TrainingDiverged: if a step was not finite.
        """
        self._watch.check()
        self._update_counters()
        return {
            "network": self._network.state_dict(),
            "loss": self._loss.state_dict(),
            "updates": self._updates.state_dict(),
            "past_logits": self._past_logits,
            "history": self.history,
            "details": self.details,
            **self.sources,
            "totals": self._totals.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Resume from `state`."""
        self._network.load_state_dict(state["network"])
        self._loss.load_state_dict(state["loss"])
        self._updates.load_state_dict(state["updates"])
        self._past_logits = state["past_logits"]
        self.history = state["history"]
        self.details = state["details"]
        self._start_epoch()
        self._totals.restore(state["totals"])
        self._watch.step = self.steps

    def _update_counters(self) -> None:
        self._counters.update()
        if self._updates.average is not None:
            self._updates.average.copy_counters()

    def _joules(self) -> float:
        """Return the energy of the epoch in joules; nan if a driver does not report it."""
        own = self._usage.joules()
        joules = torch.tensor(
            math.nan if own is None else own * self._gpu_share, dtype=torch.float64, device=self.device
        )
        # Each process has its own GPU, so their energies are added. Every process measures the whole CPU.
        return float(joules if self.device.type == "cpu" else self._processes.sum(joules))

    def _start_epoch(self) -> None:
        self._totals = EpochMetrics(
            self._shape.exits,
            self._batches.images,
            self._shape.classes,
            keeps_logits=self.trial.method.needs_previous_epoch,
            device=self.device,
            processes=self._processes,
        )

    def _train_step(self, parts: list[Batch]) -> dict[str, Tensor]:
        trial = self.trial
        seed_modules(derive_seed(trial.seed, "network", self.epoch, self.step, self._processes.rank), self.device)
        with self._counters.suspended(sum(part.passes for part in parts)):
            names, terms = self._forward_backward(parts)
        values = self._updates.step(self._learning_rate(self.step), names, terms, self._watch)
        measured = (*(f"loss/{name}" for name in names), "gradient_norm")
        self._totals.add_step(measured, values, self._batches.batch_sizes[self.step])
        return dict(zip(names, terms, strict=True))

    def _forward_backward(self, parts: list[Batch]) -> tuple[tuple[str, ...], Tensor]:
        """Compute the gradients of a step, and return the names of the loss terms and their values (n,)."""
        names: tuple[str, ...] = ()
        values: list[Tensor] = []
        name, code = loss_code(self._loss)
        for part in parts:
            past = None if self._past_logits is None else self._past_logits[part.numbers]
            with self._processes.no_sync(self._objective, now=part is parts[-1]):
                terms, logits = self._objective(part, self._progress, past)
                stacked = torch.stack([term.float() for term in terms.values()])
                total = stacked.sum()  # a gradient as an argument of `backward` would import PyTorch's compiler
                with user_code(f"the backward pass of method {name!r}", code, *self._code, unless=passes):
                    (total if part.weight == 1 else part.weight * total).backward()
            if part is parts[0]:
                self._updates.hold_gradients()
            names = tuple(terms)
            values.append(part.weight * stacked.detach())
            self._totals.add_outputs(part, logits)
        return names, self._processes.mean(sum(values[1:], start=values[0]))

    def _learning_rate(self, step: int) -> float:
        steps = self._batches.steps_per_epoch
        scheduled = self._regime.scheduled_step(self.epoch * steps + step, steps)
        return self.trial.recipe.learning_rate_at(scheduled, steps)

    def _measured(self, *, last: bool) -> Record:
        """Return the evaluation metrics that the protocol and `evaluate_every` require after an epoch."""
        record: Record = {}
        self._evaluated_details = {}
        evaluates = last or (self.epoch + 1) % self.trial.recipe.evaluate_every == 0
        if self._validation_images is not None and evaluates:
            record |= self._evaluated(self._validation_images, "validation")
        if self.trial.protocol == "paper" and evaluates:
            record |= self._evaluated(self._test_images, "test_by_epoch")
        if self.trial.protocol == "final" and last:
            record |= self._evaluated(self._test_images, "test")
        return record

    @torch.no_grad()
    def _evaluated(self, images: EvaluationBatches, split: str) -> Record:
        network = self.trained_network.eval()
        self._processes.share_buffers(network)
        metrics = ExitMetrics(self._shape.exits, self.device)
        early = EarlyExitMetrics(self._leaving_costs) if self._leaving_costs is not None else None
        for inputs, labels in images:
            with (
                user_code("the network in evaluation mode", *self._code, unless=passes),
                torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"),
            ):
                logits = network(inputs).logits
            metrics.add(logits, labels)
            if early is not None:
                early.add(logits, labels, self._loss.exit_scores(logits))
        details: Record = {"reliability": metrics.reliability(self._processes)}
        if early is not None:
            details["early_exit"] = early.points(self._processes)
        self._evaluated_details = details
        return metrics.summary(split, self._processes)

    @functools.cached_property
    def _leaving_costs(self) -> Tensor | None:
        costs = leaving_costs(self._network, self._facts.image_shape)
        return torch.tensor(costs, device=self.device) if len(costs) > 1 else None


def _some(images: ImageSet, number: int) -> ImageSet:
    """Return this number of images, at equal distances."""
    return images.subset(torch.linspace(0, len(images) - 1, min(number, len(images))).long())


def _student(trial: TrialSpec, backbone: SourceWeights | None, processes: ProcessGroup) -> MultiExitNetwork | Cohort:
    """Build the trained network, with the weights that its backbone starts with."""
    network = build_student(trial)
    check_regime(trial, network, processes=processes.count)
    if backbone is not None:
        load_backbone(network, backbone.content)
    return network


def _trained_teacher(
    trial: TrialSpec, weights: SourceWeights | None, device: torch.device, precision: Precision
) -> nn.Module | None:
    if weights is None:
        return None
    network = build_teacher(trial, weights).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if precision == "bf16":  # autocast would convert the weights of the convolutions in each step
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.to(torch.bfloat16)
    return network.eval().requires_grad_(False)
