"""Tests of `exeunt report` on a store with trials recorded in MLflow."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from exeunt.store import hold_lease
from exeunt.store.trial_store import Store
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.tracking.writer import Mirror

pytestmark = pytest.mark.slow

FILE = """\
name: tiny
dataset: digits
architectures: [resnet8]
seeds: [0, 1]
recipe: {base: fast, epochs: 2}
methods:
  baseline: {}
  eed: {exits: all}
"""


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    """Storage with two completed trials, one failed trial and one that has not started."""
    folder = tmp_path_factory.mktemp("storage")
    (folder / "sweep.yaml").write_text(FILE)
    plan = make_plan(read_sweep(folder / "sweep.yaml"))
    store = Store(folder / "runs")
    store.save_sweep(plan)
    for trial in plan.trials:
        directory = store.trial(trial.key)
        if trial.configuration.method == "baseline":
            accuracies = [
                {"train/final/top1": 60.0 + epoch, "epoch": epoch, "time": 0.0, "seconds": 2.5} for epoch in (1, 2)
            ]
            metrics = {"test/final/top1": 90.0 + trial.seed}
            directory.write_history([accuracies[0], accuracies[1] | metrics])
            environment = {"commit": "0123456789ab", "torch": "2.15.0", "processes": 1}
            directory.write_result({"state": "done", "metrics": metrics, "environment": environment, "seconds": 5.0})
        elif trial.seed == 0:
            directory.write_failure({"reason": "no more memory"})
    Mirror(plan, store, store.tracking_uri).update_all()
    return folder / "runs"


def test_a_report_in_the_storage_or_where_it_is_wanted(run, storage, tmp_path):
    status, output, messages = run("report", "tiny", "--storage", storage)
    assert (status, messages) == (0, "")
    written = storage / "sweeps" / "tiny" / "report.html"
    assert output == f"tiny: report written to {written}\n"
    page = written.read_text(encoding="utf-8")
    assert "2 of 4 planned trials completed; 1 failed, 1 not started." in page
    assert "Best mean: baseline, 90.50 ± 0.71%." in page
    assert "<dt>PyTorch</dt><dd>2.15.0</dd>" in page
    assert "no more memory" in page
    assert f"exeunt sweep tiny.yaml --storage {storage}" in page
    assert "recipe: {base: fast, epochs: 2}" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")

    wanted = tmp_path / "new folder" / "page.html"
    assert run("report", "tiny", "--storage", storage, "--out", wanted)[0] == 0
    assert wanted.read_bytes() == written.read_bytes()
    assert [file.name for file in wanted.parent.iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tinny",), "no sweep 'tinny' was launched in"),
        (("tiny", "--tracking", "sqlite:////nowhere/mlflow.db"), "no such database"),
        (("tiny", "--tracking", "javascript:alert(1)"), "is neither a server nor a database"),
        (("tiny", "--out", "."), "--out . is a directory; give the path of a file."),
        (("tiny", "--out", "/dev/null/page.html"), "/dev/null"),
    ],
)
def test_mistakes_are_one_message_and_status_2(run, storage, words, message):
    status, output, messages = run("report", *words, "--storage", storage)
    assert (status, output) == (2, "")
    assert message in messages
    assert messages.startswith("exeunt: ")
    assert messages.count("\n") == 1


def test_a_watched_report_ends_with_its_sweep(run, storage, tmp_path):
    file, store = tmp_path / "watched.html", Store(storage)
    words = ("report", "tiny", "--storage", storage, "--out", file, "--watch", "--every", 1)
    with ThreadPoolExecutor(1) as thread:
        with hold_lease(store.sweep_directory("tiny"), "tiny"):
            running = thread.submit(run, *words)
            while not file.exists():
                assert not running.done()
                time.sleep(0.05)
            written = file.stat().st_mtime_ns
        status, output, _ = running.result()
    assert status == 0
    assert "tiny: report at http://127.0.0.1:" in output
    assert file.stat().st_mtime_ns == written, "nothing has changed"
    assert run(*words)[1] == f"tiny: report written to {file}\n", "no sweep runs"
