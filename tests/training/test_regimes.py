"""Training regimes: what starts with the weights of the baseline, and what is trained in each epoch."""

from dataclasses import replace

import pytest
import torch
from exeunt.losses import EED, DeepSupervision, methods
from exeunt.models import ExitSpec
from exeunt.specs import SpecError
from exeunt.store import TrialFiles
from exeunt.training import DataSource, Recipe, TrialSpec, train
from exeunt.training.distributed import ProcessGroup
from exeunt.training.loop import TrainingLoop
from exeunt.training.regimes import RegimeSchedule, check_regime
from exeunt.training.student import build_student
from exeunt.training.teacher import SourceWeights

CPU = torch.device("cpu")
NOT_JOINT = ("disjoint", "mixed", "branchwise")


@pytest.fixture(scope="module")
def of_regime(make_trial):
    """Function that returns a trial with three exits under a regime."""
    return lambda regime, epochs=3, method=None: replace(
        make_trial(method or DeepSupervision(), exits="all", epochs=epochs, learning_rate=0.02), regime=regime
    ).canonical()


@pytest.fixture(scope="module")
def baseline(of_regime, tmp_path_factory):
    """Files of the trained baseline."""
    files = TrialFiles(tmp_path_factory.mktemp("baseline"))
    train(of_regime("mixed").backbone, files)
    return files


@pytest.fixture
def trained(of_regime, baseline, tmp_path):
    """Function that trains under a regime, and returns the result and the weights."""

    def run(regime, folder="trial", **settings):
        files = TrialFiles(tmp_path / folder)
        trial = of_regime(regime, method=settings.pop("method", None))
        result = train(trial, files, backbone=path_of(baseline), **settings)
        return result, state_of(files)

    return run


def path_of(files):
    return files.directory.path / "weights.pt"


def state_of(files):
    return torch.load(path_of(files), weights_only=True)


def started(trial, files):
    weights = SourceWeights.read(path_of(files), of="backbone")
    return TrainingLoop(trial, CPU, None, DataSource(), ProcessGroup(), backbone=weights)


def changed(before, after):
    """Return the parts of a network, such as `trunk.stem`, whose weights or statistics differ."""
    return {
        ".".join(name.split(".")[: 3 if name.startswith("trunk.blocks") else 2])
        for name, value in after.items()
        if not torch.equal(value, before[name])
    }


def copied(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_the_backbone_is_the_baseline_of_the_same_seed(of_regime, make_trial):
    baseline = make_trial(epochs=3, learning_rate=0.02).canonical()
    assert of_regime("joint").backbone is None
    for regime in NOT_JOINT:
        trials = list(of_regime(regime).with_seeds([0, 5]))
        assert [trial.backbone.key for trial in trials] == [trial.key for trial in baseline.with_seeds([0, 5])]


@pytest.mark.parametrize("method", [DeepSupervision(), EED()], ids=lambda method: method.name)
def test_disjoint_keeps_the_backbone_bit_for_bit(baseline, trained, method):
    result, weights = trained("disjoint", method=method)
    assert result["backbone"]["weights"] == baseline.result()["weights"]
    theirs = state_of(baseline)
    assert theirs.keys() == {name for name in weights if name.startswith("trunk.")}
    assert all(torch.equal(value, weights[name]) for name, value in theirs.items())
    assert result["metrics"]["test/final/top1"] == baseline.result()["metrics"]["test/final/top1"]


def test_disjoint_trains_the_exits(of_regime, baseline):
    loop = started(of_regime("disjoint"), baseline)
    before = copied(loop.trained_network)
    list(loop.train_epoch())
    assert changed(before, loop.trained_network.state_dict()) == {"exits.block1", "exits.block2"}


def test_mixed_starts_with_the_baseline_and_trains_everything(of_regime, baseline):
    loop = started(of_regime("mixed"), baseline)
    before = copied(loop.trained_network)
    assert all(torch.equal(value, before[name]) for name, value in state_of(baseline).items())
    list(loop.train_epoch())
    blocks = {f"trunk.blocks.{number}" for number in range(3)}
    exits = {"exits.block1", "exits.block2"}
    assert changed(before, loop.trained_network.state_dict()) == {"trunk.stem", "trunk.classifier", *blocks, *exits}


def test_branchwise_trains_one_part_after_the_other(of_regime, baseline):
    loop = started(of_regime("branchwise"), baseline)
    for expected in (
        {"trunk.stem", "trunk.blocks.0", "exits.block1"},
        {"trunk.blocks.1", "exits.block2"},
        {"trunk.blocks.2", "trunk.classifier"},
    ):
        before = copied(loop.trained_network)
        list(loop.train_epoch())
        loop.finish_epoch()
        assert changed(before, loop.trained_network.state_dict()) == expected


@pytest.mark.parametrize("method", ["byot", "one"])
def test_branchwise_trains_the_weights_of_a_loss_with_every_part(of_regime, baseline, method):
    loop = started(of_regime("branchwise", method=methods[method]()), baseline)
    for _ in range(3):
        assert all(bool(torch.isfinite(value).all()) for terms in loop.train_epoch() for value in terms.values())
        loop.finish_epoch()


def test_branchwise_a_part_gets_the_gradient_of_its_own_exit_alone(of_regime):
    network = build_student(of_regime("branchwise"))
    images = torch.randn(4, 1, 8, 8)
    RegimeSchedule("branchwise", network, 3).start_epoch(1)
    logits = network(images).logits
    alone = torch.autograd.grad(logits[1].square().sum(), network.trunk.block(2).parameters(), retain_graph=True)
    sum(z.square().sum() for z in logits).backward()
    for expected, weight in zip(alone, network.trunk.block(2).parameters(), strict=True):
        torch.testing.assert_close(weight.grad, expected)
    assert all(weight.grad is None for weight in network.trunk.block(1).parameters())


@pytest.mark.parametrize("epochs", [3, 4, 7, 30])
def test_branchwise_runs_through_the_schedule_for_each_exit(of_regime, epochs):
    steps = 5
    schedule = RegimeSchedule("branchwise", build_student(of_regime("branchwise")), epochs)
    positions = [schedule.scheduled_step(step, steps) for step in range(epochs * steps)]
    starts = [step for step, position in enumerate(positions) if position == 0]
    assert len(starts) == 3
    assert all(start % steps == 0 for start in starts)
    lengths = [end - start for start, end in zip(starts, [*starts[1:], epochs * steps], strict=True)]
    assert max(lengths) - min(lengths) <= steps
    for start, length in zip(starts, lengths, strict=True):
        part = positions[start : start + length]
        assert part == [step * epochs * steps // length for step in range(length)]


@pytest.mark.parametrize("regime", ["joint", "mixed", "disjoint"])
def test_other_regimes_have_the_schedule_of_the_recipe(of_regime, regime):
    schedule = RegimeSchedule(regime, build_student(of_regime(regime)), 3)
    assert [schedule.scheduled_step(step, 4) for step in range(12)] == [*range(12)]


@pytest.mark.slow
@pytest.mark.parametrize("regime", NOT_JOINT)
def test_an_interrupted_training_ends_the_same(trained, regime):
    _, whole = trained(regime)
    steps = iter([False] * 10 + [True] * 100)
    with pytest.raises(Exception, match="stopped in epoch 2"):
        trained(regime, "interrupted", stop=lambda: next(steps))
    _, resumed = trained(regime, "interrupted")
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_other_weights_of_the_backbone_are_refused(of_regime, baseline, tmp_path):
    with pytest.raises(SpecError, match=r"has changed: .* For the backbone of a sweep, `exeunt verify`") as refused:
        train(of_regime("mixed"), TrialFiles(tmp_path), backbone=path_of(baseline), backbone_sha256="0" * 64)
    assert refused.value.field == "backbone"
    with pytest.raises(SpecError, match="the backbone's weights are missing"):
        train(of_regime("mixed"), TrialFiles(tmp_path))


@pytest.mark.parametrize(
    ("epochs", "processes", "message"),
    [(2, 1, "there are 3 exits and 2 epochs; train longer"), (3, 2, "got 2 processes; set resources.processes to 1")],
)
def test_branchwise_is_refused_where_it_is_impossible(of_regime, epochs, processes, message):
    trial = of_regime("branchwise", epochs)
    with pytest.raises(SpecError, match=f"regime branchwise .*{message}"):
        check_regime(trial, build_student(trial), processes=processes)


@pytest.mark.parametrize("wanted", [{"regime": "branchwise"}, {"gradient_equilibrium": True}], ids=str)
def test_what_divides_a_network_is_refused_where_that_is_impossible(of_regime, wanted):
    balanced = ExitSpec(placement="all", gradient_equilibrium="regime" not in wanted)
    trial = replace(of_regime(wanted.get("regime", "joint")), exits=balanced)
    network = build_student(trial)
    check_regime(trial, network, processes=1)
    network.trunk.undivided = "module x depends on values"
    with pytest.raises(SpecError, match="needs a network that can be divided: module x depends on values") as refused:
        check_regime(trial, network, processes=1)
    assert refused.value.field in wanted


def test_equal_experiments_have_one_key(of_regime, make_trial):
    joint = of_regime("joint")
    assert joint.key == make_trial(DeepSupervision(), exits="all", epochs=3, learning_rate=0.02).key
    assert "regime" not in joint.to_dict()
    assert of_regime("mixed").key != joint.key
    balanced = ExitSpec(placement="all", gradient_equilibrium=True)
    assert replace(of_regime("disjoint"), exits=balanced).key == of_regime("disjoint").key
    assert replace(of_regime("mixed"), exits=balanced).key != of_regime("mixed").key
    plain = make_trial(epochs=3)
    assert replace(plain, regime="mixed").canonical() == plain.canonical()
    again = TrialSpec.from_dict(of_regime("mixed").to_dict())
    assert again == of_regime("mixed")
    assert again.recipe == Recipe.from_dict(again.recipe.to_dict())
