import math
from itertools import pairwise

import pytest
import torch
from exeunt.models import Backbone, Block, MultiExitNetwork
from exeunt.models.early_exit.calibration import (
    anytime,
    budgeted,
    calibrate_to_accuracy,
    calibrate_to_budget,
    evaluate,
)
from exeunt.models.early_exit.inference import EarlyExit, criteria
from exeunt.models.exit_head import ExitOutput
from exeunt.specs import SpecError
from hypothesis import given
from hypothesis import strategies as st
from torch import nn


def leaves(criterion, history, threshold):
    """Return True if an image leaves, given its logits at the exits so far."""
    if threshold is None:
        return False
    powers = [math.exp(value - max(history[-1])) for value in history[-1]]
    probabilities = sorted((power / sum(powers) for power in powers), reverse=True)
    if criterion == "max_probability":
        return probabilities[0] >= threshold
    if criterion == "margin":
        return probabilities[0] - probabilities[1] >= threshold
    if criterion == "entropy":
        return -sum(p * math.log(p) for p in probabilities if p > 0) / math.log(len(powers)) <= threshold
    answers = [max(range(len(logits)), key=logits.__getitem__) for logits in history]
    unchanged = 0
    for before, after in pairwise(answers):
        unchanged = unchanged + 1 if before == after else 0
    return unchanged >= threshold


def exit_of(criterion, logits, thresholds):
    """Return the exit number, from 1, of an image with logits (E, C)."""
    decisions = [leaves(criterion, logits[: k + 1], threshold) for k, threshold in enumerate(thresholds)]
    return [*decisions, True].index(True) + 1


def between(criterion, logits, generator):
    """Return random thresholds halfway between the scores of two images, so that rounding has no effect."""
    if criterion == "patience":
        return tuple(torch.randint(1, 4, (len(logits) - 1,), generator=generator).tolist())
    scores = [criteria[criterion].score(exit_logits, torch.empty(0)).sort().values for exit_logits in logits[:-1]]
    places = [int(torch.randint(len(s) - 1, (), generator=generator)) for s in scores]
    return tuple(float(s[place : place + 2].double().mean()) for s, place in zip(scores, places, strict=True))


@pytest.mark.parametrize("criterion", sorted(criteria))
@pytest.mark.parametrize(
    ("architecture", "placement", "head"),
    [
        ("resnet8", "all", "conv"),
        ("resnet14", "block1,block2,block3,block4,block5", "linear"),
        pytest.param("resnet18", "25%,50%", "bottleneck", marks=pytest.mark.slow),
        ("resnet8", "none", "conv"),
    ],
)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_each_image_gets_the_networks_logits_at_the_exit_that_the_criterion_names(
    build, criterion, architecture, placement, head, memory_format
):
    network = build(architecture, placement, head=head, size=12, classes=5).eval()
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(13, 3, 12, 12, generator=generator).contiguous(memory_format=memory_format)
    with torch.no_grad():
        logits = torch.stack(network(images).logits)
    for _ in range(3):
        thresholds = between(criterion, logits, generator)
        outputs = EarlyExit(network, criterion, thresholds)(images)
        expected = [exit_of(criterion, logits[:, image].tolist(), thresholds) for image in range(len(images))]
        assert outputs.exits.tolist() == expected
        chosen = logits[outputs.exits - 1, torch.arange(len(images))]
        torch.testing.assert_close(outputs.logits, chosen, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("criterion", sorted(criteria))
def test_a_temperature_divides_the_logits_of_its_exit_before_the_criterion(build, criterion):
    network = build("resnet14", "block2,block4", size=12, classes=5).eval()
    generator = torch.Generator().manual_seed(1)
    images, temperatures = torch.randn(13, 3, 12, 12, generator=generator), (0.5, 3, 2)
    with torch.no_grad():
        divided = torch.stack([one / t for one, t in zip(network(images).logits, temperatures, strict=True)])
    thresholds = between(criterion, divided, generator)
    outputs = EarlyExit(network, criterion, thresholds, temperatures)(images)
    assert outputs.exits.tolist() == [exit_of(criterion, divided[:, image].tolist(), thresholds) for image in range(13)]
    torch.testing.assert_close(outputs.logits, divided[outputs.exits - 1, torch.arange(13)], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("temperatures", "message"),
    [((1, 1), "each of the 3 exits"), ((1, 0, 1), "0 < temperature.*0"), ((1, math.nan, 1), "0 < temperature.*nan")],
)
def test_temperatures_that_cannot_be_are_refused(build, temperatures, message):
    with pytest.raises(SpecError, match=message):
        EarlyExit(build("resnet8", "all"), "margin", 0.5, temperatures)


class Pair(Block):
    """Block with two maps, of which the exit reads the second, as in MSDNet."""

    def __init__(self):
        super().__init__(out_channels=4, stride=1)
        self.convolution = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, hidden):
        first, second = hidden
        return torch.relu(self.convolution(second)), first + second

    def tap(self, hidden):
        return hidden[1]


class Twice(nn.Module):
    def forward(self, images):
        return images, 2 * images


class Neck(nn.Module):
    def forward(self, hidden):
        return hidden[0].mean((2, 3))


class PooledHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.classifier = nn.Linear(4, 3)

    def forward(self, hidden):
        features = hidden.mean((2, 3))
        return ExitOutput(self.classifier(features), features, hidden)


def test_a_hidden_state_of_several_maps_is_thinned_out_as_a_whole():
    torch.manual_seed(0)
    trunk = Backbone(stem=Twice(), stages=[[Pair(), Pair(), Pair()]], neck=Neck(), width=4, classes=3)
    network = MultiExitNetwork(trunk, {1: PooledHead(), 2: PooledHead()}).eval()
    images = torch.randn(20, 4, 6, 6)
    with torch.no_grad():
        logits = torch.stack(network(images).logits)
    thresholds = logits[:-1].softmax(2).amax(2).median(1).values.tolist()
    outputs = EarlyExit(network, "max_probability", thresholds)(images)
    assert set(outputs.exits.tolist()) == {1, 2, 3}
    torch.testing.assert_close(outputs.logits, logits[outputs.exits - 1, torch.arange(20)])


def test_each_part_of_the_network_runs_on_those_alone_that_are_still_there(build):
    network = build("resnet14", "block1,block3,block5", size=12, classes=5).eval()
    batches = {}
    for number in range(1, 7):
        network.trunk.block(number).register_forward_hook(
            lambda _block, inputs, _output, number=number: batches.update({number: inputs[0]})
        )
    images = torch.randn(64, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        logits = network(images).logits
    thresholds = [exit_logits.softmax(1).amax(1).median().item() for exit_logits in logits[:-1]]
    exits = EarlyExit(network, "max_probability", thresholds)(images).exits
    for number, exits_before in {1: 0, 2: 1, 3: 1, 4: 2, 5: 2, 6: 3}.items():
        assert len(batches[number]) == (exits > exits_before).sum()
        assert batches[number].is_contiguous(memory_format=torch.channels_last)
    assert 0 < len(batches[6]) < len(batches[4]) < len(batches[2]) < 64


@pytest.mark.parametrize("images", [0, 1, 5])
def test_all_leave_at_the_first_exit_and_nothing_behind_it_runs(build, images):
    network = build("resnet8", "all", size=12).eval()
    network.trunk.block(2).register_forward_hook(lambda *_: pytest.fail("the second block ran"))
    outputs = EarlyExit(network, "margin", 0)(torch.randn(images, 3, 12, 12))
    assert outputs.logits.shape == (images, 100)
    assert outputs.exits.tolist() == [1] * images


@pytest.mark.parametrize(("criterion", "threshold"), [("entropy", [None, None]), ("patience", 3), ("entropy", 0)])
@pytest.mark.parametrize("images", [1, 5])
def test_who_never_meets_a_threshold_leaves_at_the_end(build, criterion, threshold, images):
    network = build("resnet8", "all", size=12).eval()
    inputs = torch.randn(images, 3, 12, 12)
    outputs = EarlyExit(network, criterion, threshold)(inputs)
    assert outputs.exits.tolist() == [3] * images
    with torch.no_grad():
        torch.testing.assert_close(outputs.logits, network(inputs).logits[-1])


@pytest.mark.parametrize(
    ("criterion", "thresholds", "message"),
    [
        ("max_probability", 1.1, "0 <= threshold <= 1.*1.1"),
        ("entropy", (0.5, -0.1), "0 <= threshold <= 1.*-0.1"),
        ("margin", math.nan, "0 <= threshold <= 1.*nan"),
        ("margin", (0.5,), "2 exits before the final exit.*0.5"),
        ("margin", (0.5, 0.5, 0.5), "2 exits before the final exit"),
        ("patience", 0, "1 <= threshold.*0"),
        ("patience", 1.5, "whole.*1.5"),
        ("patience", math.inf, "1 <= threshold.*inf"),
        ("max_probabilty", 0.5, "nearest is 'max_probability'"),
    ],
)
def test_thresholds_that_cannot_be_are_refused(build, criterion, thresholds, message):
    with pytest.raises(SpecError, match=message):
        EarlyExit(build("resnet8", "all"), criterion, thresholds)


def test_a_network_in_training_is_refused(build):
    early = EarlyExit(build("resnet8", "all", size=12), "margin", 0.5)
    with pytest.raises(SpecError, match="evaluation mode"):
        early(torch.randn(2, 3, 12, 12))
    early.eval()(torch.randn(2, 3, 12, 12))


def answers(exits, images, classes, seed, *, equal=False):
    """Return logits, labels and costs; with `equal`, logits have few values, so that many scores are equal."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(exits, images, classes, generator=generator)
    logits = logits.round() if equal else logits
    costs = torch.randint(1, 10**6, (exits,), generator=generator).cumsum(0).tolist()
    return logits, torch.randint(0, classes, (images,), generator=generator), costs


@given(
    exits=st.integers(1, 4),
    images=st.integers(1, 30),
    seed=st.integers(0, 10**6),
    share=st.floats(0, 1),
    criterion=st.sampled_from(sorted(criteria)),
    equal=st.booleans(),
)
def test_the_mean_cost_keeps_within_the_budget(exits, images, seed, share, criterion, equal):
    logits, labels, costs = answers(exits, images, 4, seed, equal=equal)
    budget = costs[0] + share * (costs[-1] - costs[0])
    try:
        point = calibrate_to_budget(logits, labels, costs, budget, criterion)
    except SpecError:
        assert criterion == "patience"  # no image can leave at the first exit
        return
    at = [exit_of(criterion, logits[:, image].double().tolist(), point.thresholds) for image in range(images)]
    assert point == evaluate(logits, labels, costs, criterion, point.thresholds)
    assert point.cost <= budget
    assert sum(point.shares) == pytest.approx(1)
    if criterion == "patience":
        assert point.cost == pytest.approx(sum(costs[number - 1] for number in at) / images)
        assert point.shares == pytest.approx([at.count(number) / images for number in range(1, exits + 1)])


def brute_force(logits, labels, costs):
    """Return (cost, accuracy) of each way to assign images to exits, the most confident first, as in MSDNet."""
    exits, images, _ = logits.shape
    confidence = logits.softmax(2).amax(2)
    right = logits.argmax(2) == labels
    points = []
    whole = [[float(k == at) for k in range(exits)] for at in range(exits)]
    ratios = [10 ** (-3 + 0.02 * step) for step in range(301)]
    for shares in whole + [[q**k / sum(q**j for j in range(exits)) for k in range(exits)] for q in ratios]:
        here, cost, correct = set(range(images)), 0, 0
        for k in range(exits):
            ranked = sorted(here, key=lambda image: -confidence[k, image])
            gone = ranked[: int(images * shares[k])] if k < exits - 1 else ranked
            cost += costs[k] * len(gone)
            correct += sum(bool(right[k, image]) for image in gone)
            here -= set(gone)
        points.append((cost / images, correct / images))
    return points


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_calibration_finds_what_trying_all_finds(seed):
    logits, labels, costs = answers(3, 11, 4, seed)
    points = brute_force(logits, labels, costs)
    for share in (0, 0.2, 0.5, 0.8, 1):
        budget = costs[0] + share * (costs[-1] - costs[0])
        point = calibrate_to_budget(logits, labels, costs, budget, "max_probability")
        accuracy, cost = max((accuracy, -cost) for cost, accuracy in points if cost <= budget)
        assert (point.accuracy, point.cost) == pytest.approx((accuracy, -cost))
    for floor in {accuracy for _, accuracy in points}:
        point = calibrate_to_accuracy(logits, labels, costs, floor, "max_probability")
        assert point.cost == pytest.approx(min(cost for cost, accuracy in points if accuracy >= floor))
        assert point.accuracy >= floor


@pytest.mark.parametrize("criterion", ["max_probability", "entropy", "margin"])
def test_an_early_exit_does_on_the_calibrated_images_what_was_expected(build, criterion):
    network = build("resnet14", "block2,block4", size=12, classes=5).eval()
    images = torch.randn(40, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = torch.stack(network(images).logits)
    point = calibrate_to_budget(logits, logits[-1].argmax(1), (10, 20, 30), 20, criterion)
    exits = EarlyExit(network, point.criterion, point.thresholds)(images).exits
    counted = exits.bincount(minlength=4)[1:] / len(images)
    # Only the images whose score equals a threshold may leave elsewhere, because batches change rounding.
    assert counted.tolist() == pytest.approx(point.shares, abs=2 / 40)


def test_anytime_and_budgeted_are_exact_on_numbers_done_by_hand():
    logits = torch.tensor([[[2.0, 0], [0.1, 0], [0, 0.2], [3, 0]], [[2, 0], [0, 1], [1, 0], [3, 0]]])
    labels, costs = torch.tensor([0, 1, 0, 0]), (1, 3)
    assert [(p.cost, p.accuracy) for p in anytime(logits, labels, costs)] == [(1, 0.5), (3, 1)]
    cheap, half, whole = budgeted(logits, labels, costs, (1, 2, 3), "max_probability")
    assert (cheap.cost, cheap.accuracy, cheap.shares) == (1, 0.5, (1, 0))
    assert (half.cost, half.accuracy, half.shares) == (2, 1, (0.5, 0.5))
    assert (cheap.risk, half.risk) == (
        0.5,
        0,
    )  # exit 1 errs on images 2 and 3, and only exit 2 classifies them correctly
    assert (whole.cost, whole.accuracy) == (2, 1)  # a larger budget does not increase the accuracy


def test_what_cannot_be_reached_is_refused_with_the_least_that_works():
    logits, labels, costs = answers(3, 20, 4, seed=0)
    exact = [cost + 1 / 3 for cost in costs]
    with pytest.raises(SpecError, match=f"budget >= {exact[0]}, ") as refusal:
        calibrate_to_budget(logits, labels, exact, exact[0] - 1, "margin")
    least = float(str(refusal.value).partition(">= ")[2].partition(",")[0])
    assert calibrate_to_budget(logits, labels, exact, least, "margin").cost == exact[0]
    with pytest.raises(SpecError, match="budget"):
        calibrate_to_budget(logits, labels, costs, math.nan, "margin")
    with pytest.raises(SpecError, match=r"accuracy <= 0\.\d+"):
        calibrate_to_accuracy(logits, labels, costs, 1, "margin")
    with pytest.raises(SpecError, match="costs are positive and do not decrease"):
        anytime(logits, labels, costs[::-1])
    with pytest.raises(SpecError, match="3 exits"):
        anytime(logits, labels, costs[1:])
    with pytest.raises(SpecError, match="NaN"):
        anytime(logits * math.nan, labels, costs)
