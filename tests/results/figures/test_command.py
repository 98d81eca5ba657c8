"""Tests of `exeunt figures` on a store with trials recorded in MLflow."""

import shutil

import pytest
from exeunt.store import Store
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.tracking.writer import Mirror

pytestmark = pytest.mark.slow

FILE = """\
name: %s
dataset: digits
architectures: [resnet8]
seeds: [0, 1]
recipe: {base: fast, epochs: 2}
methods:
  eed: {exits: all}
"""


@pytest.fixture
def figures(run, tmp_path):
    """Function that runs the command on a storage."""
    return lambda *words: run("figures", *words, "--storage", tmp_path / "runs")


@pytest.fixture
def launched(tmp_path, database):
    """Function that plans a sweep in the storage, ends its trials and records them."""

    def launch(name, *, failed=False):
        (tmp_path / "sweep.yaml").write_text(FILE % name)
        plan, store = make_plan(read_sweep(tmp_path / "sweep.yaml")), Store(tmp_path / "runs")
        store.save_sweep(plan)
        for trial in plan.trials:
            files = store.trial(trial.key)
            if failed:
                files.write_failure({"reason": "boom"})
                continue
            epochs = [{"epoch": epoch, "time": 0.0, "seconds": 1.0, "train/final/top1": 99.0} for epoch in (1, 2)]
            files.write_history([epochs[0], epochs[1] | {"test/final/top1": 97.0}])
            metrics = {"train/final/top1": 99.0, "test/final/top1": 97.0}
            files.write_result({"state": "done", "metrics": metrics, "environment": {}, "seconds": 2.0})
        shutil.copy(database, store.database)
        Mirror(plan, store, store.tracking_uri).update_all()

    return launch


def test_figures_are_written_and_listed(figures, launched, tmp_path):
    launched("figured")
    status, out, _ = figures("figured")

    folder = tmp_path / "runs" / "sweeps" / "figured" / "figures"
    names = [f"convergence.{form}" for form in ("pdf", "png", "svg")]
    assert (status, out.splitlines()) == (0, [str(folder / name) for name in (*names, "captions.txt")])
    assert sorted(path.name for path in folder.iterdir()) == sorted([*names, "captions.txt"])
    captions = (folder / "captions.txt").read_text(encoding="utf-8")
    assert captions.startswith("convergence: figured on digits: training top-1 accuracy of the final exit by epoch\n")

    elsewhere = tmp_path / "paper" / "figures"
    assert figures("figured", "--out", elsewhere)[0] == 0
    for name in names:
        assert (elsewhere / name).read_bytes() == (folder / name).read_bytes()


def test_an_unknown_sweep_is_status_2(figures, launched):
    launched("known-one")
    status, out, err = figures("known-oen")
    assert (status, out) == (2, "")
    assert err.startswith("exeunt: no sweep 'known-oen' was launched")
    assert "known-one" in err


def test_a_sweep_without_results_is_status_2(figures, launched, tmp_path):
    launched("empty-one", failed=True)
    status, _, err = figures("empty-one")
    assert (status, err.count("\n")) == (2, 1)
    assert "nothing to draw" in err
    assert not (tmp_path / "runs" / "sweeps" / "empty-one" / "figures").exists()


def test_interactive_figures_are_one_page_without_a_network(figures, launched, tmp_path):
    launched("interactive-one")
    status, out, _ = figures("interactive-one", "--interactive")
    page = tmp_path / "runs" / "sweeps" / "interactive-one" / "figures" / "figures.html"
    assert (status, out) == (0, f"{page}\n")
    assert [path.name for path in page.parent.iterdir()] == [page.name]
    text = page.read_text(encoding="utf-8")
    assert "<h2>Accuracy by epoch</h2>" in text
    assert "<script src" not in text


def test_kinds_and_formats_are_chosen(launched, figures, tmp_path):
    launched("some")
    answer = figures("some", "--out", tmp_path / "out", "--kind", "convergence", "--format", "svg", "--format", "pdf")
    assert answer.status == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"convergence.svg", "convergence.pdf", "captions.txt"}
    answer = figures("some", "--kind", "conv")
    assert answer.status == 2
    assert "unknown kind of figure 'conv'; the nearest is 'convergence'" in answer.err
    answer = figures("some", "--interactive", "--kind", "exits")
    assert (answer.status, answer.err.count("\n")) == (2, 1)
