from collections import Counter

import pytest
import torch
from exeunt.training.augmentation.operations import Operation
from exeunt.training.augmentation.policies import draw_operations
from scipy import stats
from torchvision.transforms import AutoAugment, AutoAugmentPolicy, TrivialAugmentWide

COUNT = 60_000
SIZE = (32, 40)
THEIR_NAMES = {name.lower().replace("_", ""): name for name in Operation.__members__}
AUTO_AUGMENTS = {
    "auto_augment": AutoAugmentPolicy.CIFAR10,
    "auto_augment_svhn": AutoAugmentPolicy.SVHN,
    "auto_augment_imagenet": AutoAugmentPolicy.IMAGENET,
}


def variants(name, levels, signed):
    """Return the probabilities and the magnitudes with which torchvision applies an operation."""
    operation = Operation[THEIR_NAMES[name.lower()]]
    levels = [float(level) for level in levels.view(-1)]
    signs = [1, -1] if signed else [1]
    share = 1 / len(levels) / len(signs)
    return [(share, (operation, round(sign * level, 4) + 0.0)) for level in levels for sign in signs]


def check(drawn, expected):
    """Compare drawn outcomes with their expected probabilities by a chi-square test."""
    assert sum(expected.values()) == pytest.approx(1)
    assert set(drawn) <= {outcome for outcome, share in expected.items() if share}
    likely = [outcome for outcome in expected if expected[outcome] * COUNT > 5]
    seen = [drawn[outcome] for outcome in likely]
    wanted = [expected[outcome] * COUNT for outcome in likely]
    rest = COUNT - sum(wanted)
    if rest > 5:
        seen, wanted = [*seen, COUNT - sum(seen)], [*wanted, rest]
    assert stats.chisquare(seen, wanted, sum_check=False).pvalue > 1e-3


def outcomes(policy):
    generator = torch.Generator().manual_seed(0)
    operations, magnitudes = draw_operations(policy, COUNT, SIZE, generator)
    assert operations.shape == magnitudes.shape
    assert operations.dtype == torch.int64
    assert magnitudes.dtype == torch.float32
    drawn = []
    for numbers, sizes in zip(operations.tolist(), magnitudes.tolist(), strict=True):
        steps = [(Operation(number), round(size, 4) + 0.0) for number, size in zip(numbers, sizes, strict=True)]
        drawn.append(tuple((Operation.IDENTITY, 0.0) if step[0] == Operation.IDENTITY else step for step in steps))
    return Counter(drawn)


@pytest.mark.slow
def test_trivial_augment_draws_what_torchvisions_does_as_often():
    space = TrivialAugmentWide()._augmentation_space(31)
    assert len(space) == 14
    expected = Counter()
    for name, (levels, signed) in space.items():
        for share, outcome in variants(name, levels, signed):
            expected[(outcome,)] += share / len(space)
    check(outcomes("trivial_augment"), expected)


@pytest.mark.slow
@pytest.mark.parametrize("policy", AUTO_AUGMENTS)
def test_auto_augment_draws_what_torchvisions_does_as_often(policy):
    reference = AutoAugment(AUTO_AUGMENTS[policy])
    space = reference._augmentation_space(10, SIZE)
    expected = Counter()
    for pair in reference.policies:
        choices = []
        for name, probability, level in pair:
            levels, signed = space[name]
            done = variants(name, levels if level is None else levels[level], signed)
            steps = [(share * probability, outcome) for share, outcome in done]
            choices.append([*steps, (1 - probability, (Operation.IDENTITY, 0.0))])
        for first_share, first in choices[0]:
            for second_share, second in choices[1]:
                expected[first, second] += first_share * second_share / len(reference.policies)
    check(outcomes(policy), expected)


@pytest.mark.parametrize("policy", ["trivial_augment", *AUTO_AUGMENTS])
def test_the_same_generator_draws_the_same_and_advances_equally_for_every_image_size(policy):
    first, second = (torch.Generator().manual_seed(5) for _ in range(2))
    small, _ = draw_operations(policy, 50, (8, 8), first)
    large, _ = draw_operations(policy, 50, (64, 48), second)
    assert torch.equal(small, large)
    assert torch.equal(first.get_state(), second.get_state())
