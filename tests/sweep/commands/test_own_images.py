"""A folder of one's own images with a name, from sweep to calibration."""

import pytest

from ...pictures import write_folder

FILE = """\
name: own
dataset: {path: flowers, name: Flowers}
architectures: [resnet8]
seeds: [0]
recipe: {base: fast, epochs: 1, batch_size: 4, crop: resized}
validation: 0.25
methods: {eed: {exits: all}}
"""


@pytest.mark.slow
def test_a_launched_sweep_knows_where_its_images_are(exeunt, tmp_path, monkeypatch):
    write_folder(tmp_path / "flowers", count=8, side=40, suffix="jpg")
    file, words = tmp_path / "own.yaml", ("--storage", tmp_path / "runs")
    file.write_text(FILE)
    assert exeunt("sweep", file, *words).status == 0
    monkeypatch.chdir("/")
    answer = exeunt("calibrate", "own", "resnet8", "eed", "--budget", "0.7", *words)
    assert answer.status == 0, answer.err
    assert "on 4 validation images" in answer.out
