import pytest
import torch
from exeunt.specs import SpecError
from exeunt.training.data import DataSource, datasets, share_of
from torchvision.io import write_png


def test_a_share_is_that_of_each_class_and_always_the_same():
    whole, test = datasets["digits"].load(DataSource())
    part, tested = datasets["digits@20%"].load(DataSource())
    assert part.labels.bincount().tolist() == [round(0.2 * count) for count in whole.labels.bincount().tolist()]
    assert torch.equal(tested.pixels, test.pixels)
    again, _ = datasets["digits@20%"].load(DataSource())
    assert torch.equal(part.pixels, again.pixels)
    known = {image.numpy().tobytes() for image in whole.pixels}
    assert {image.numpy().tobytes() for image in part.pixels} <= known


def test_all_else_is_as_in_the_whole():
    whole, part = datasets["cifar100"], datasets["cifar100@12.5%"]
    assert (part.image_shape, part.classes, part.mean, part.std) == (
        whole.image_shape, whole.classes, whole.mean, whole.std,
    )  # fmt: skip
    assert "12.5% of each class" in part.description
    assert share_of("cifar100@12.5%") == ("cifar100", 0.125)
    assert share_of("cifar100") == ("cifar100", 1.0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "digits@0%",
            "the percentage of training images must be above 0% and below 100%, such as .*, but got 'digits@0%'",
        ),
        ("digits@100%", "below 100%"),
        ("digits@nan%", "below 100%"),
        ("digits@much%", "but got 'digits@much%'"),
        ("digits@20.0%", "write 'digits@20.0%' as 'digits@20%'"),
        ("digits@20%@50%", "'digits@20%@50%' has two percentages; use one .* training images, such as 'digits@10%'"),
        ("folder:images@20%@50%", "'folder:images@20%@50%' has two .*, such as 'folder:images@10%'"),
        ("digits@0%@50%", "above 0% and below 100%, such as .*, but got 'digits@0%'"),
        ("digts@20%", "unknown dataset 'digts'; the nearest is 'digits'"),
        ("digits@20", "unknown dataset 'digits@20'"),
    ],
)
def test_a_mistaken_share_is_named(name, message):
    with pytest.raises(SpecError, match=message):
        datasets[name]


def test_a_share_that_leaves_a_class_empty_is_refused():
    with pytest.raises(SpecError, match=r"'digits@0\.1%' leaves a class of digits without training images"):
        datasets["digits@0.1%"].load(DataSource())


def test_a_share_of_a_folder(tmp_path):
    for split, count in (("train", 4), ("test", 2)):
        for name in ("cat", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = torch.full((3, 8, 8), number, dtype=torch.uint8)
                write_png(pixels, str(tmp_path / split / name / f"{number}.png"))
    train, test = datasets[f"folder:{tmp_path}@50%"].load(DataSource())
    assert (train.labels.tolist(), len(test)) == ([0, 0, 1, 1], 4)
