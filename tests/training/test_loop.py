import math
from types import SimpleNamespace

import pytest
import torch
from exeunt.losses import EED, methods
from exeunt.models import ExitSpec
from exeunt.training import DataSource, build_student, epoch_metrics, loop
from exeunt.training.distributed import ProcessGroup
from exeunt.training.loop import TrainingLoop
from exeunt.training.teacher import SourceWeights
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

CPU = torch.device("cpu")
WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2"}
"""Operations whose result is needed on the host, for which a GPU would be waited for."""


class Waits(TorchDispatchMode):
    """Counter of operations that would wait for a GPU."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func.overloadpacket.__name__ in WAITING
        return func(*args, **(kwargs or {}))


def started(trial, teacher=None):
    weights = None if trial.teacher is None else SourceWeights.read(teacher)
    return TrainingLoop(trial, CPU, weights, DataSource(), ProcessGroup())


@pytest.mark.slow
@pytest.mark.parametrize("name", list(methods))
@pytest.mark.parametrize(
    "recipe",
    [{}, {"mixup": 0.3, "cutmix": 0.3, "ema_decay": 0.9, "gradient_clip": 1.0}],
    ids=["plain", "mixed"],
)
def test_a_step_waits_for_nothing_on_the_device(make_trial, tmp_path, name, recipe):
    """The host reads only its copy of the non-finite flag."""
    method = methods[name]()
    teacher = None
    if method.requires_hard_labels and recipe:
        pytest.skip("labels are not mixed")
    if method.teacher != "ignored":
        teacher = make_trial(epochs=1)
        torch.save(build_student(teacher).state_dict(), tmp_path / "weights.pt")
    exits = "none" if method.exits == "ignored" else "all"
    trial = make_trial(method, exits=exits, teacher=teacher, cutout=2, policy="trivial_augment", **recipe)
    steps = started(trial, tmp_path / "weights.pt").train_epoch()
    next(steps)
    with Waits() as waits:
        next(steps)
    assert waits.count == 1


@pytest.mark.parametrize("parts", [2, 3])
def test_accumulated_gradients_are_those_of_the_whole_batch(make_trial, parts):
    """Batch normalisation uses running statistics here, so that it does not depend on the batch."""
    networks = []
    for accumulation in (1, parts):
        run = started(make_trial(EED(), exits="all", batch_size=251, accumulation=accumulation, nesterov=True))
        for module in run._network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
                module.train = lambda _mode, module=module: module
        steps = run.train_epoch()
        terms = [next(steps) for _ in range(3)]
        networks.append((run.trained_network.state_dict(), terms))
    (weights, terms), (accumulated, accumulated_terms) = networks
    assert_close(accumulated, weights, rtol=1e-3, atol=1e-5)
    assert_close(accumulated_terms, terms, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_what_modules_draw_depends_on_the_step_and_on_nothing_before(make_trial):
    trial = make_trial(epochs=2, batch_size=300)

    def draws(run):
        """Return a random number, drawn where dropout would draw, for each step of two epochs."""
        drawn = []
        run._network.register_forward_pre_hook(lambda *_: drawn.append(torch.rand(()).item()))
        for _ in range(2):
            for _ in run.train_epoch():
                torch.rand(7)  # as other code may
            run.finish_epoch()
        return drawn

    first = draws(started(trial))
    assert len(set(first)) == len(first)
    assert draws(started(trial)) == first


def test_the_moving_average_is_what_is_kept(make_trial):
    run = started(make_trial(EED(), exits="1", ema_decay=0.75))
    weight = run._network.trunk.classifier.weight
    expected = weight.detach().clone()
    steps = run.train_epoch()
    for _ in range(3):
        next(steps)
        expected = 0.75 * expected + 0.25 * weight.detach()
    assert_close(run.trained_network.trunk.classifier.weight, expected)
    assert not torch.equal(run.trained_network.trunk.classifier.weight, weight)


@pytest.mark.slow
def test_weight_decay_spares_biases_and_normalisation_where_the_recipe_says_so(make_trial):
    def changes(**recipe):
        run = started(make_trial(learning_rate=1e-3, momentum=0.0, batch_size=1438, **recipe))
        before = {name: weight.detach().clone() for name, weight in run._network.named_parameters()}
        next(run.train_epoch())
        return {name: weight.detach() - before[name] for name, weight in run._network.named_parameters()}, before

    without, _ = changes(weight_decay=0.0)
    spared, before = changes(weight_decay=10.0, decay_norms=False)
    decayed, _ = changes(weight_decay=10.0)
    for name, start in before.items():
        penalty = -1e-3 * 10.0 * start
        assert_close(decayed[name], without[name] + penalty, rtol=1e-3, atol=1e-6)
        assert_close(spared[name], without[name] + penalty * (start.dim() > 1), rtol=1e-3, atol=1e-6)


def test_a_clipped_gradient_has_the_norm_that_is_allowed(make_trial):
    run = started(make_trial(EED(), exits="all", learning_rate=1.0, momentum=0.0, weight_decay=0.0, gradient_clip=0.01))
    before = [weight.detach().clone() for weight in run._network.parameters()]
    next(run.train_epoch())
    moved = [weight.detach() - start for weight, start in zip(run._network.parameters(), before, strict=True)]
    assert float(torch.cat([change.flatten() for change in moved]).norm()) == pytest.approx(0.01, rel=1e-4)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_first_step_is_the_one_that_pytorchs_plain_optimiser_takes(make_trial, optimizer):
    recipe = {"optimizer": optimizer, "learning_rate": 0.05, "weight_decay": 0.02, "crop": "none", "flip": False}
    trial = make_trial(batch_size=1438, epochs=1, milestones=(), **recipe)
    run = started(trial)
    reference = build_student(trial)
    kind = torch.optim.SGD if optimizer == "sgd" else torch.optim.AdamW
    more = {"momentum": 0.9} if optimizer == "sgd" else {}
    plain = kind(reference.parameters(), lr=0.05, weight_decay=0.02, foreach=False, **more)
    facts = trial.dataset_facts
    images, _ = facts.load(DataSource())
    inputs = (images.pixels / 255 - facts.mean[0]) / facts.std[0]
    loss = torch.nn.functional.cross_entropy(reference(inputs).logits[-1], images.labels)
    loss.backward()
    plain.step()
    terms = next(run.train_epoch())
    assert float(terms["label"]) == pytest.approx(float(loss), rel=1e-5)
    moved = dict(run._network.named_parameters())
    for name, weight in reference.named_parameters():
        clear = weight.grad.abs() > 1e-4  # AdamW's first step is the gradient's sign, which rounding decides near zero
        assert_close(moved[name][clear], weight[clear], rtol=1e-3, atol=1e-4, msg=name)


def test_an_exit_specification_of_another_form_is_the_same_run(make_trial):
    first = started(make_trial(EED(), exits="all")).train_epoch()
    second = started(make_trial(EED(), exits="1,2")).train_epoch()
    assert_close(next(first), next(second), rtol=0, atol=0)
    assert ExitSpec(placement="all") != ExitSpec(placement="1,2")


def test_the_time_of_an_epoch_ends_when_the_device_is_done(make_trial, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: clock[0], time=lambda: 0.0))
    run = started(make_trial(batch_size=1438, epochs=1))

    def check():
        clock[0] += 7

    run._watch.check = check
    for _ in run.train_epoch():
        clock[0] += 1
    run.finish_epoch()
    assert run.history[-1]["seconds"] == 8


def test_metrics_of_an_epoch_do_not_depend_on_when_they_are_computed(make_trial, monkeypatch):
    def record(pending_bytes):
        monkeypatch.setattr(epoch_metrics, "PENDING_BYTES", pending_bytes)
        run = started(make_trial(EED(), exits="all", epochs=1, mixup=0.3))
        for _ in run.train_epoch():
            run.state()  # computes those of the steps so far
        run.finish_epoch()
        return {name: value for name, value in run.history[-1].items() if name.startswith("train/")}

    assert record(0) == record(2**30)


def test_pending_outputs_are_bounded(make_trial, monkeypatch):
    monkeypatch.setattr(epoch_metrics, "PENDING_BYTES", 2 * 256 * 10 * 4)
    run = started(make_trial(epochs=1))
    assert [len(run._totals._pending) for _ in run.train_epoch()] == [1, 0, 1, 0, 1, 2]  # the last batch is smaller


def test_counters_of_batches_are_those_of_pytorch(make_trial):
    run = started(make_trial(methods["cs_kd"](), accumulation=2, ema_decay=0.9))
    steps = run.train_epoch()
    for _ in range(3):
        next(steps)
    for weights in (run.state()["network"], run.state()["updates"]["average"], run.trained_network.state_dict()):
        counters = {int(value) for name, value in weights.items() if name.endswith("num_batches_tracked")}
        assert counters == {3 * 2 * 2}  # steps, parts, and passes for images and their pairs


def test_a_weight_that_the_loss_never_uses_stays_as_it_is(make_trial):
    run = started(make_trial(weight_decay=0.5, gradient_clip=1.0))
    unused = torch.nn.Parameter(torch.ones(3))
    run._updates._optimizer.add_param_group({"params": [unused], "weight_decay": 0.5})
    run._updates._weights.append(unused)
    steps = run.train_epoch()
    for _ in range(2):
        next(steps)
    assert unused.tolist() == [1, 1, 1]


@pytest.mark.parametrize("use", [lambda p: min(1.0, p / 0.6), math.cos, lambda p: 1.0 if p < 0.4 else 2.0, float])
def test_a_loss_that_takes_progress_for_a_number_still_trains(make_trial, monkeypatch, use):
    losses = methods["baseline"].loss
    factors = []

    def loss(self, inputs, learned):
        factors.append(use(inputs.progress))
        return {name: term * factors[-1] for name, term in losses(self, inputs, learned).items()}

    monkeypatch.setattr(methods["baseline"], "loss", loss)
    run = started(make_trial(batch_size=1438, epochs=2))
    for _ in range(2):
        for terms in run.train_epoch():
            assert terms["label"].dtype == torch.float32
        run.finish_epoch()
    assert [float(factor) for factor in factors] == [use(0.5), use(1.0)]


@pytest.mark.parametrize(("name", "broadcast"), [("eed", False), ("phuong", True)])
def test_only_buffers_of_a_loss_are_copied_to_all_processes_in_each_step(make_trial, monkeypatch, name, broadcast):
    """The annealed temperature depends on the images of a process; running statistics are copied before a test."""
    made = []
    monkeypatch.setattr(
        "exeunt.training.distributed.DistributedDataParallel", lambda _, **settings: made.append(settings)
    )
    TrainingLoop(make_trial(methods[name](), exits="all"), CPU, None, DataSource(), ProcessGroup(rank=0, count=2))
    assert made == [{"broadcast_buffers": broadcast, "gradient_as_bucket_view": True}]
