"""Choice of the training and test directories of an image folder."""

import pytest
from exeunt.specs import SpecError
from exeunt.training.data.splits import find_splits

from ...pictures import write_folder, write_image


@pytest.mark.parametrize(
    ("splits", "test"),
    [
        (["train", "val"], "val"),
        (["train", "valid"], "valid"),
        (["train", "validation"], "validation"),
        (["train", "validation", "valid"], "valid"),
    ],
)
def test_the_test_set_has_any_usual_name(tmp_path, splits, test):
    found = find_splits(write_folder(tmp_path, splits, count=1))
    assert (found.train.name, found.test.name, found.classes) == ("train", test, ("cat", "dog"))


def test_a_test_set_without_labels_is_named_and_left_out(tmp_path):
    write_folder(tmp_path, ["train", "val"], count=1)
    write_image(tmp_path / "test/1.png")
    found = find_splits(tmp_path)
    assert found.test.name == "val"
    assert found.notes == ("test/ has no class directories, so it is not used; test set: val/.",)


def test_a_third_labelled_split_is_named_and_can_be_chosen(tmp_path):
    write_folder(tmp_path, ["train", "test", "valid"], count=1)
    found = find_splits(tmp_path)
    assert found.test.name == "test"
    assert found.notes == (
        f"valid/ is not used; test set: test/. To choose another, write dataset: {{path: {tmp_path}, test: valid}}.",
    )
    assert find_splits(tmp_path, test="valid").test.name == "valid"
    assert "test/ is not used" in find_splits(tmp_path, test="valid").notes[0]


def test_directories_of_any_name_can_be_chosen(tmp_path):
    write_folder(tmp_path, ["Training", "Testing"], count=1)
    with pytest.raises(SpecError, match=r"found in .*: Testing/, Training/; .* write \{path: .*, train: Testing\}"):
        find_splits(tmp_path)
    found = find_splits(tmp_path, "Training", "Testing")
    assert (found.train.name, found.test.name, found.notes) == ("Training", "Testing", ())


@pytest.mark.parametrize(
    ("splits", "chosen", "message"),
    [
        (["train"], {}, "directory not found: .*/test; found in .*: train/; a dataset needs one directory per class"),
        (["cats", "dogs"], {}, "directory not found: .*/train; found in .*: cats/, dogs/; a dataset needs"),
        (["train", "val"], {"test": "tset"}, "directory not found: .*/tset; found in .*: train/, val/"),
        (["train", "val"], {"test": "train"}, "is both training and test set"),
    ],
)
def test_what_was_found_is_said(tmp_path, splits, chosen, message):
    write_folder(tmp_path, splits, count=1)
    with pytest.raises(SpecError, match=message):
        find_splits(tmp_path, **chosen)


def test_another_split_with_the_classes_is_suggested(tmp_path):
    write_folder(tmp_path, ["train", "val"], count=1)
    write_image(tmp_path / "test/unknown/1.png")
    with pytest.raises(SpecError, match=r"different classes: .*or choose another split: \{path: .*, test: val\}"):
        find_splits(tmp_path)
