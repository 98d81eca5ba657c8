"""The trials of a search do not read the test set."""

from dataclasses import replace

import pytest
from exeunt.store import TrialFiles
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.training import DataSource, TrialSpec, datasets, train
from exeunt.training.data.in_memory import ImageSet

from .searches import TAUGHT


class TestSetReadError(Exception):
    __test__ = False


class Forbidden(ImageSet):
    """Image set that raises an exception on every access."""

    @property
    def labels(self):
        raise TestSetReadError

    def subset(self, which):
        raise TestSetReadError(which)

    def to(self, device):
        raise TestSetReadError(device)

    def batches(self, order, boxes=None):
        raise TestSetReadError(order, boxes)


@pytest.fixture
def search(tmp_path, monkeypatch):
    (tmp_path / "search.yaml").write_text(TAUGHT.replace("epochs: 2", "epochs: 1"))
    search = read_sweep(tmp_path / "search.yaml").search
    digits = datasets["digits"]
    guarded = replace(digits, load=lambda source: (digits.load(source)[0], Forbidden()))
    monkeypatch.setattr(TrialSpec, "dataset_facts", guarded)
    return search


@pytest.mark.slow
def test_no_trial_of_a_search_reads_it(search, tmp_path):
    baseline, kd = search.spaces
    teacher = search.teacher(kd)
    source = {"source": DataSource()}
    train(teacher, TrialFiles(tmp_path / "teacher"), **source)
    weights = tmp_path / "teacher" / "weights.pt"
    for number, trial in enumerate([search.trial(baseline, {"recipe.learning_rate": 0.2}), search.trial(kd, {})]):
        result = train(trial, TrialFiles(tmp_path / str(number)), teacher=weights, **source)
        assert "validation/final/top1" in result["metrics"]


def test_a_confirmation_does(search, tmp_path):
    with pytest.raises(TestSetReadError):
        train(search.spaces[0].default, TrialFiles(tmp_path / "confirmed"), source=DataSource())
