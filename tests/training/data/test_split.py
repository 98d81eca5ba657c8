import pytest
import torch
from exeunt.training.data import Images, split_validation, stratified
from hypothesis import given
from hypothesis import strategies as st

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(torch.tensor)
SEEDS = st.integers(0, 2**32 - 1)


@given(
    labels=LABELS,
    fraction=st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]),
    seed=SEEDS,
)
def test_a_stratified_choice_takes_the_fraction_of_each_class(labels, fraction, seed):
    chosen = stratified(labels, fraction=fraction, seed=seed)
    for label in range(5):
        members = labels == label
        assert int(chosen[members].sum()) == round(fraction * int(members.sum()))
    assert torch.equal(chosen, stratified(labels, fraction=fraction, seed=seed))


def test_another_seed_chooses_others():
    labels = torch.arange(3).repeat(50)
    assert not torch.equal(stratified(labels, fraction=0.2, seed=0), stratified(labels, fraction=0.2, seed=1))


@given(labels=LABELS, fraction=st.floats(0.01, 0.99), seed=SEEDS)
def test_validation_images_are_a_share_of_each_class_that_leaves_both_parts_some(labels, fraction, seed):
    images = Images(pixels=torch.arange(len(labels), dtype=torch.uint8)[:, None, None, None], labels=labels)
    train, validation = split_validation(images, fraction=fraction, seed=seed)
    numbers = torch.cat([train.pixels, validation.pixels])[:, 0, 0, 0].tolist()
    assert sorted(numbers) == list(range(len(labels)))
    assert torch.equal(torch.cat([train.labels, validation.labels]), labels[numbers])
    for label, total in enumerate(labels.bincount().tolist()):
        chosen = int((validation.labels == label).sum())
        assert abs(chosen - fraction * total) <= 1
        assert total < 2 or 1 <= chosen <= total - 1
        assert total != 1 or chosen == 0
    assert torch.equal(split_validation(images, fraction=fraction, seed=seed)[1].pixels, validation.pixels)


def test_another_seed_validates_on_other_images():
    images = Images(pixels=torch.arange(150, dtype=torch.uint8)[:, None, None, None], labels=torch.arange(3).repeat(50))
    first, second = (split_validation(images, fraction=0.2, seed=seed)[1].pixels for seed in (0, 1))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.1])
def test_a_part_that_would_be_empty_is_refused(fraction):
    images = Images(pixels=torch.zeros(4, 1, 1, 1, dtype=torch.uint8), labels=torch.zeros(4, dtype=torch.int64))
    with pytest.raises(ValueError, match="between 0 and 1"):
        split_validation(images, fraction=fraction, seed=0)
