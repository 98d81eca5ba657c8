"""A damaged image that only decoding finds ends a sweep once."""

import pytest

from ...pictures import truncate, write_folder

FILE = """\
name: own
dataset: {path: flowers, name: Flowers}
architectures: [resnet8]
seeds: [0, 1]
recipe: {base: fast, epochs: 1, batch_size: 4, crop: resized}
methods: {baseline: {}}
"""


@pytest.mark.slow
def test_a_damaged_image_ends_the_sweep_once(exeunt, tmp_path):
    flowers = write_folder(tmp_path / "flowers", count=4, side=120, suffix="jpg")
    file, words = tmp_path / "own.yaml", ("--storage", tmp_path / "runs")
    file.write_text(FILE)
    truncate(flowers / "train/dog/2.jpg")
    answer = exeunt("sweep", file, *words)
    assert answer.status == 2
    assert answer.err.count("cannot be read") == 1
    assert answer.err.rstrip().endswith(
        "Replace or remove it. To read every image and list all damaged ones, run: "
        f"exeunt doctor --dataset 'folder:{flowers}'"
    )
    assert "Traceback" not in answer.out + answer.err
    assert not list((tmp_path / "runs/trials").glob("*/failure.json"))
    assert "0 failed" in exeunt("status", "own", *words).out
