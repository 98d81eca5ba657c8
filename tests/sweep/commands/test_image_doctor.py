"""`exeunt doctor --dataset`: every image is read, and all that cannot be read are listed."""

import os

import pytest

from ...pictures import truncate, write_folder, write_image


@pytest.fixture
def doctor(run, monkeypatch):
    """Function that checks a dataset; it returns the exit status and the output."""
    monkeypatch.setenv("COLUMNS", "300")

    def check(name):
        status, out, err = run("doctor", "--dataset", name)
        assert err == ""
        return status, "\n".join(line.rstrip() for line in out.splitlines())

    return check


def test_a_folder_without_a_problem(doctor, tmp_path, monkeypatch):
    write_folder(tmp_path / "flowers", ["train", "val"], count=3)
    monkeypatch.chdir(tmp_path)
    status, out = doctor("folder:flowers")
    assert status == 0
    assert f"{tmp_path}/flowers: all 12 images can be read" in out
    assert "training set: train/, test set: val/, 2 classes, used as 8x8 pixels" in out
    assert len(out.splitlines()) == 2


def test_all_damaged_images_are_listed_at_once(doctor, tmp_path):
    write_folder(tmp_path, count=8, side=120, suffix="jpg")
    for path in ("train/cat/3.jpg", "train/dog/1.jpg", "test/dog/7.jpg"):
        truncate(tmp_path / path)
    (tmp_path / "test/cat/0.jpg").write_bytes(b"<html>")
    (tmp_path / "test/cat/x.png").mkdir()
    truncate((tmp_path / "test/dog/0.jpg").rename(tmp_path / "test/dog" / os.fsdecode(b"\xe9.jpg")))
    status, out = doctor(f"folder:{tmp_path}")
    assert status == 1
    lines = [line.strip() for line in out.splitlines()]
    assert f"6 of 33 images in {tmp_path} cannot be read:" in lines[0]
    assert lines[1] == "test/cat/0.jpg contains HTML or XML"
    assert lines[2] == "test/cat/x.png is a directory"
    assert lines[3].startswith("test/dog/7.jpg is damaged (image file is truncated")
    assert lines[4].startswith("test/dog/\\xe9.jpg is damaged")
    assert [line.split()[0] for line in lines[5:7]] == ["train/cat/3.jpg", "train/dog/1.jpg"]
    assert lines[7] == "-> replace or remove these files"
    assert len(lines) == 8


def test_a_long_list_is_cut_and_counted(doctor, tmp_path):
    write_folder(tmp_path, count=15)
    for path in tmp_path.glob("*/*/*.png"):
        path.write_bytes(b"")
    status, out = doctor(f"folder:{tmp_path}")
    assert status == 1
    assert "60 of 60 images" in out
    assert "and 20 more" in out
    assert len(out.splitlines()) == 43


def test_other_files_orientations_and_splits_are_reported(doctor, tmp_path):
    from PIL import Image

    write_folder(tmp_path, ["train"])
    turned = Image.Exif()
    turned[0x0112] = 8
    write_image(tmp_path / "train/cat/turned.jpg", exif=turned)
    (tmp_path / "train/cat/a.heif").write_bytes(b"?")
    status, out = doctor(f"folder:{tmp_path}")
    assert status == 1
    assert f"1 file in {tmp_path} not read (1 .heif), such as train/cat/a.heif" in out
    assert "1 image with an EXIF orientation, such as" in out
    assert "directory not found" in out
    assert "found in" in out


def test_a_dataset_of_another_kind_is_loaded(doctor):
    assert doctor("digits") == (0, "ok      data         digits: 1438 training and 359 test images")


def test_an_unknown_dataset_and_an_absent_folder_are_messages(doctor, tmp_path):
    assert doctor(f"folder:{tmp_path}/nowhere")[0] == 1
    status, out = doctor("digit")
    assert status == 1
    assert "unknown dataset 'digit'; the nearest is 'digits'" in out
