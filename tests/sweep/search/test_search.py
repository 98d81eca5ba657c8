"""Whole searches through the real command line."""

import json
import os
import random
import shutil
import signal
import time
from collections import Counter

import optuna
import pytest
from exeunt.store.trial_store import Store
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.search import Studies, outcomes, search_plan
from mlflow import MlflowClient

from ...command_line import Answer, meanwhile, wait_until, workers_of
from .searches import TAUGHT

pytestmark = pytest.mark.slow

BUDGET, METHODS, SEEDS = 4, 2, 2
TRIALS = 1 + METHODS * BUDGET + 1 + METHODS * 2 * SEEDS
"""Number of trials: teacher and search on validation; teacher and results, tuned and default, on test."""


class Bench:
    """A search file and a storage, with access to the results."""

    def __init__(self, path):
        self.file = path / "search.yaml"
        self.storage = path / "storage"
        self.file.write_text(TAUGHT)
        self.words = "search", self.file, "--storage", self.storage, "--max-concurrent", 1

    def outcomes(self):
        return outcomes(Studies(read_sweep(self.file), Store(self.storage)))

    def told(self):
        """Return the trials of each study, without times."""
        return [[(t.number, t.state, t.params, t.values) for t in outcome.trials] for outcome in self.outcomes()]

    def files(self, name):
        return {path.parent.name: path for path in self.storage.glob(f"trials/*/{name}")}

    def times(self):
        return {key: path.stat().st_mtime_ns for key, path in self.files("result.json").items()}

    def table(self):
        return (self.storage / "sweeps" / "tuned" / "table.csv").read_bytes()

    def check_over(self, undisturbed):
        """Check that studies, results and table are equal to those of an uninterrupted search."""
        assert self.told() == undisturbed.told()
        assert self.files("result.json").keys() == undisturbed.files("result.json").keys()
        assert self.table() == undisturbed.table()


@pytest.fixture(scope="session")
def undisturbed(made_once, exeunt):
    """A search that ran without interruption. Tests must not change it."""

    def search(folder):
        answer = exeunt(*Bench(folder).words)
        assert answer.status == 0, answer.err
        (folder / "out").write_text(answer.out)
        (folder / "err").write_text(answer.err)

    folder = made_once("search", search)
    bench = Bench(folder)
    bench.answer = Answer(0, (folder / "out").read_text(), (folder / "err").read_text())
    return bench


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_a_search_tunes_alike_confirms_on_test_and_records_it(undisturbed, run):
    answer = undisturbed.answer
    assert answer.err == ""
    assert "Equal budgets: each method had 4 trials by tpe" in " ".join(answer.out.split())
    for outcome in undisturbed.outcomes():
        assert outcome.tried == "4 complete, 0 pruned, 0 failed"
    results = [json.loads(path.read_text()) for path in undisturbed.files("result.json").values()]
    specs = [json.loads(path.read_text()) for path in undisturbed.files("spec.json").values()]
    assert len(results) == TRIALS
    assert Counter((spec["protocol"], spec["validation"]) for spec in specs) == {
        ("tuning", 0.1): 1 + METHODS * BUDGET,
        ("final", 0.0): 1 + METHODS * 2 * SEEDS,
    }
    assert {spec["seed"] for spec in specs if spec["protocol"] == "tuning"} == {0, 2}, "teacher 0, search 2"
    measured = {key: sorted({name.partition("/")[0] for name in json.loads(path.read_text())["metrics"]})
                for key, path in undisturbed.files("result.json").items()}  # fmt: skip
    assert Counter("test" in splits for splits in measured.values()) == {False: 9, True: 9}
    client = MlflowClient(f"sqlite:///{undisturbed.storage / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("tuned").experiment_id], "tags.`exeunt.key` LIKE '%'")
    roles = Counter((run.data.tags["exeunt.role"], run.data.tags.get("exeunt.tuning")) for run in runs)
    assert roles == {
        ("search", None): 8, ("teacher", None): 2, ("result", "default"): 4, ("result", "tuned"): 4,
    }  # fmt: skip
    table = run("table", "tuned", "--storage", undisturbed.storage)
    assert "Each method tuned with 4 trials by tpe" in " ".join(table.out.split())
    assert table.out.count("gain ") == METHODS
    assert run("verify", "--storage", undisturbed.storage).status == 0
    assert "nothing to remove" in run("clean", "--dry-run", "--storage", undisturbed.storage).out


def test_the_winner_is_the_trial_that_was_best_on_validation(undisturbed):
    for outcome in undisturbed.outcomes():
        best = max(outcome.trials, key=lambda trial: trial.values[0])
        assert outcome.best[0].values == best.values
        confirmed = outcome.space.trial(outcome.best[0].params)
        seeds = {trial.key for trial in confirmed.with_seeds([0, 1])}
        assert seeds <= undisturbed.files("result.json").keys()


def test_the_same_command_again_trains_nothing(undisturbed, bench, exeunt):
    shutil.copytree(undisturbed.storage, bench.storage)
    before = bench.times()
    answer = exeunt(*bench.words)
    assert answer.status == 0
    assert bench.times() == before
    bench.check_over(undisturbed)


@pytest.mark.nightly
@pytest.mark.parametrize("results", [4, 11])
def test_after_a_kill_the_search_goes_on_where_it_was(bench, start, exeunt, undisturbed, results):
    """The search is killed while it tries settings and, in the nightly tests, while it trains the final trials."""
    command = start(*bench.words)
    command.until(lambda: len(bench.times()) >= results)
    command.kill()
    before = bench.times()
    answer = exeunt(*bench.words)
    assert answer.status == 0, answer.out + answer.err
    bench.check_over(undisturbed)
    after = bench.times()
    assert {key: after[key] for key in before} == before


@pytest.mark.nightly
def test_killed_at_random_moments_until_it_ends(bench, start, exeunt, undisturbed):
    moments = random.Random(0)
    ended: dict[str, int] = {}
    for _ in range(4):
        command = start(*bench.words)
        patience = time.monotonic() + moments.uniform(4, 22)
        while command.process.poll() is None and time.monotonic() < patience:
            time.sleep(0.1)
        command.kill()
        times = bench.times()
        assert ended.items() <= times.items(), "trained again"
        ended = times
    answer = exeunt(*bench.words)
    assert answer.status == 0, answer.out + answer.err
    assert ended.items() <= bench.times().items(), "trained again"
    bench.check_over(undisturbed)


@pytest.mark.nightly
def test_a_killed_worker_costs_no_trial(bench, exeunt, undisturbed):
    def kill_the_worker():
        wait_until(lambda: len(bench.files("result.json")) >= 2)
        for worker in wait_until(lambda: workers_of(os.getpid())):
            os.kill(worker, signal.SIGKILL)

    with meanwhile(kill_the_worker):
        answer = exeunt(*bench.words)
    assert answer.status == 0, answer.out + answer.err
    bench.check_over(undisturbed)


@pytest.mark.nightly
def test_ctrl_c_says_how_to_go_on(bench, start, exeunt, undisturbed):
    command = start(*bench.words)
    command.until(lambda: len(bench.files("result.json")) >= 3)
    command.process.send_signal(signal.SIGINT)
    answer = command.finish()
    assert answer.status == 130, answer.out + answer.err
    words = ["exeunt", "search", bench.file, "--storage", bench.storage, "--max-concurrent", 1]
    assert f"Interrupted. Resume with: {' '.join(map(str, words))}" in answer.out
    assert exeunt(*bench.words).status == 0
    bench.check_over(undisturbed)


@pytest.mark.nightly
@pytest.mark.usefixtures("all_cores")
def test_several_at_once_use_exactly_the_budget(tmp_path, start):
    file = tmp_path / "search.yaml"
    file.write_text(
        TAUGHT.replace("budget: 4", "budget: 7").replace("[0, 1]", "[0]") + "stopping: {rule: asha, grace: 1}\n"
    )
    answer = start("search", file, "--storage", tmp_path / "runs").finish()
    assert answer.status == 0, answer.out + answer.err
    for outcome in outcomes(Studies(read_sweep(file), Store(tmp_path / "runs"))):
        assert len(outcome.trials) == 7
        complete, pruned = (
            outcome.count(state) for state in (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
        )
        assert complete + pruned == 7
        assert pruned > 0, "ASHA stops a part after the first of two epochs"
        for trial in outcome.trials:
            assert len(trial.intermediate_values) == (2 if trial.state == optuna.trial.TrialState.COMPLETE else 1)


def test_what_is_no_search_is_refused(bench, run, tmp_path):
    answer = run("sweep", bench.file, "--storage", bench.storage)
    assert answer.status == 2
    assert answer.err == f"exeunt: {bench.file} has a `search` part; run: exeunt search {bench.file}\n"
    plain = tmp_path / "plain.yaml"
    plain.write_text(TAUGHT.partition("search:")[0])
    answer = run("search", plain, "--storage", bench.storage)
    assert answer.status == 2
    assert answer.err == f"exeunt: {plain} has no `search` part; add one, or run: exeunt sweep {plain}\n"
    answer = run("search", "tuned", "--show", "--storage", bench.storage)
    assert answer.status == 2
    assert "no sweep 'tuned' was launched" in answer.err
    assert not bench.storage.exists()


def test_a_search_is_shown_without_running_code_from_the_storage(read_file, store, drive, run, tmp_path):
    sweep = read_file()
    drive(sweep).run()
    store.save_sweep(search_plan(sweep, store))
    folder = store.sweep_directory("tuned").path
    (folder / "plugins").mkdir()
    (folder / "plugins" / "own.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w').close()\n")
    (folder / "sweep.yaml").write_text("[")
    status, out, err = run("search", "tuned", "--show", "--storage", store.location)
    assert (status, err) == (0, "")
    assert "best of eed/resnet8, trial" in out
    assert "Equal budgets: each method had 6 trials by random" in " ".join(out.split())
    assert (folder / "figures" / "kd-resnet8" / "figures.html").exists()
    assert not (tmp_path / "executed").exists()


def test_a_search_without_studies_is_shown_and_creates_none(read_file, store, run):
    store.save_sweep(search_plan(read_file(), store))
    status, out, err = run("search", "tuned", "--show", "--storage", store.location)
    assert (status, err) == (0, "")
    assert "Not finished: the budget of each method is 6 trials by random" in " ".join(out.split())
    assert sorted(store.sweep_directory("tuned").entries()) == ["plan.json", "sweep.yaml"]


def test_what_was_found_is_shown_with_figures(undisturbed, bench, run):
    shutil.copytree(undisturbed.storage, bench.storage)
    answer = run("search", "tuned", "--show", "--storage", bench.storage)
    assert answer.status == 0, answer.err
    assert "best of kd/resnet8, trial" in answer.out
    figures = bench.storage / "sweeps" / "tuned" / "figures"
    assert {"history.pdf", "importance.png", "figures.html"} <= {
        path.name for path in (figures / "kd-resnet8").iterdir()
    }
