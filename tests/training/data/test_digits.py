import hashlib
from collections import Counter

import numpy as np
import pytest
import torch
from exeunt.specs import SpecError
from exeunt.training import DatasetSpec, datasets
from exeunt.training.data import DataSource


@pytest.fixture(scope="module")
def splits():
    return datasets["digits"].load(DataSource())


def rows(images):
    return [(image.numpy().tobytes(), int(label)) for image, label in zip(images.pixels, images.labels, strict=True)]


def test_training_and_test_images_are_disjoint_and_together_all_of_scikit_learns_digits(splits):
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    everything = [(image.tobytes(), int(label)) for image, label in zip(pixels, digits.target, strict=True)]
    train, test = splits
    assert Counter(rows(train)) + Counter(rows(test)) == Counter(everything)
    assert train.pixels.shape[1:] == datasets["digits"].image_shape


def test_the_test_split_has_a_fifth_of_every_class(splits):
    train, test = splits
    in_train, in_test = torch.bincount(train.labels), torch.bincount(test.labels)
    assert len(in_test) == datasets["digits"].classes
    assert in_test.tolist() == [round(float(total) / 5) for total in in_train + in_test]


def test_the_split_is_the_same_for_everybody(splits):
    torch.manual_seed(99)
    again = datasets["digits"].load(DataSource())
    for first, second in zip(splits, again, strict=True):
        assert torch.equal(first.pixels, second.pixels)
        assert torch.equal(first.labels, second.labels)
    digest = hashlib.sha256(again[1].pixels.numpy().tobytes() + again[1].labels.numpy().tobytes()).hexdigest()
    assert digest[:16] == "36538df8e6fa838c"


def test_an_unknown_data_set_is_refused_with_the_nearest():
    with pytest.raises(SpecError, match="unknown dataset 'digit'; the nearest is 'digits'"):
        DatasetSpec(name="digit")
