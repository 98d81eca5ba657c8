import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def figures(run, tmp_path):
    """Function that runs the command on a storage."""
    return lambda *words: run("figures", *words, "--storage", tmp_path / "runs")


@pytest.fixture
def launched(record, tmp_path):
    """Function that records a sweep and adds it to the storage."""

    def launch(name):
        sweep = record(name)
        folder = tmp_path / "runs" / "sweeps" / name
        folder.mkdir(parents=True)
        (folder / "sweep.yaml").touch()
        return sweep

    return launch


def test_figures_are_written_and_listed(figures, launched, tmp_path):
    sweep = launched("figured")
    sweep.trials("eed", 97.0, 98.0, metrics={"train/final/top1": 99.0})

    status, out, _ = figures("figured", "--tracking", sweep.tracking_uri)

    folder = tmp_path / "runs" / "sweeps" / "figured" / "figures"
    names = [f"convergence.{form}" for form in ("pdf", "png", "svg")]
    assert (status, out.splitlines()) == (0, [str(folder / name) for name in (*names, "captions.txt")])
    assert sorted(path.name for path in folder.iterdir()) == sorted([*names, "captions.txt"])
    captions = (folder / "captions.txt").read_text(encoding="utf-8")
    assert captions.startswith("convergence: figured on digits: training top-1 accuracy of the final exit by epoch\n")

    elsewhere = tmp_path / "paper" / "figures"
    assert figures("figured", "--tracking", sweep.tracking_uri, "--out", elsewhere)[0] == 0
    for name in names:
        assert (elsewhere / name).read_bytes() == (folder / name).read_bytes()


def test_an_unknown_sweep_is_status_2(figures, launched):
    launched("known-one")
    status, out, err = figures("known-oen")
    assert (status, out) == (2, "")
    assert err.startswith("exeunt: no sweep 'known-oen' was launched")
    assert "known-one" in err


def test_a_sweep_without_results_is_status_2(figures, launched, tmp_path):
    sweep = launched("empty-one")
    sweep.trial("baseline", state="failed", error="boom")
    status, _, err = figures("empty-one", "--tracking", sweep.tracking_uri)
    assert (status, err.count("\n")) == (2, 1)
    assert "nothing to draw" in err
    assert not (tmp_path / "runs" / "sweeps" / "empty-one" / "figures").exists()
