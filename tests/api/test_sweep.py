"""A sweep through `import exeunt`: plan, run, and what is read from the storage."""

from concurrent.futures import ThreadPoolExecutor

import exeunt
import pandas as pd
import pytest
from exeunt.results import load
from exeunt.store import Store

LABELS = ["baseline", "eed temperature=1", "eed temperature=3"]


@pytest.fixture
def sweep(quick):
    return exeunt.open("quick", storage=quick)


class TestPlan:
    def test_a_frame_has_a_row_for_each_trial_with_its_state(self, quick_file, tmp_path):
        plan = exeunt.plan(quick_file, storage=tmp_path)
        frame = plan.to_frame()
        assert (plan.name, len(plan), len(frame)) == ("quick", 3, 3)
        assert frame["label"].tolist() == LABELS
        assert set(frame["state"]) == {"waiting"}
        assert frame["multiply_adds"].min() > 0

    def test_costs_are_those_of_the_trials(self, quick_file, tmp_path):
        plan = exeunt.plan(quick_file, storage=tmp_path)
        cost = plan.cost()
        assert cost["trials"].tolist() == [1, 2]
        assert cost["multiply_adds"].sum() == pytest.approx(plan.to_frame()["multiply_adds"].sum())
        assert cost["multiply_adds_left"].tolist() == cost["multiply_adds"].tolist()
        hours = plan.cost(throughput=1e12)["device_hours"]
        assert hours.tolist() == pytest.approx((cost["multiply_adds"] / 1e12 / 3600).tolist())

    @pytest.mark.slow
    def test_a_plan_of_completed_trials_has_nothing_left(self, quick_file, quick):
        plan = exeunt.plan(quick_file, storage=quick)
        assert set(plan.to_frame()["state"]) == {"done"}
        assert plan.cost(throughput=1e12)["device_hours_left"].sum() == 0
        assert plan.cost()["trials_left"].sum() == 0

    def test_it_prints_what_the_command_prints(self, quick_file, tmp_path, run, monkeypatch):
        monkeypatch.setenv("COLUMNS", "120")
        printed = run("plan", quick_file, "--storage", tmp_path).out
        assert str(exeunt.plan(quick_file, storage=tmp_path)) == printed

    def test_a_notebook_shows_its_costs(self, quick_file, tmp_path):
        assert "<td>baseline</td>" in exeunt.plan(quick_file, storage=tmp_path)._repr_html_()

    def test_an_error_is_the_message_of_the_command(self, quick_file, tmp_path, run):
        bad = tmp_path / "bad.yaml"
        bad.write_text(quick_file.read_text().replace("resnet8", "resnet9"))
        with pytest.raises(exeunt.SpecError, match="unknown architecture 'resnet9'; the nearest is") as error:
            exeunt.plan(bad, storage=tmp_path)
        assert run("plan", bad, "--storage", tmp_path).err == f"exeunt: {error.value}\n"

    def test_a_warning_of_the_file_is_a_warning(self, quick_file, tmp_path):
        odd = tmp_path / "odd.yaml"
        odd.write_text(quick_file.read_text().replace("epochs: 2", "epochs: 2, schedule: multistep, milestones: [9]"))
        with pytest.warns(UserWarning, match="milestone"):
            exeunt.plan(odd, storage=tmp_path)

    def test_plugins_define_methods(self, tmp_path):
        (tmp_path / "mine.py").write_text(
            "from dataclasses import dataclass\n"
            "from exeunt.losses import Method, method\n"
            '@method("mine")\n@dataclass(frozen=True, kw_only=True)\nclass Mine(Method):\n'
            "    paper = 'none'\n    def loss(self, inputs):\n        return {}\n"
        )
        file = tmp_path / "own.yaml"
        file.write_text("name: own\ndataset: digits\narchitectures: [resnet8]\nseeds: [0]\nmethods: {mine: {}}\n")
        plan = exeunt.plan(file, storage=tmp_path, plugins=[tmp_path / "mine.py"])
        assert plan.to_frame()["method"].tolist() == ["mine"]
        with pytest.raises(exeunt.SpecError, match="unknown method 'mine'"):
            exeunt.plan(file, storage=tmp_path)


class TestRun:
    @pytest.mark.slow
    @pytest.mark.usefixtures("ray_here")
    def test_a_second_run_trains_nothing_and_prints_the_table(self, quick, quick_file, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "100")
        sweep = exeunt.run(quick_file, storage=quick)
        printed = capsys.readouterr().out
        assert printed.startswith("quick: 3 trials, 0 to train\n")
        assert str(sweep.table()) in printed

    @pytest.mark.slow
    @pytest.mark.usefixtures("ray_here")
    def test_a_quiet_run_prints_nothing(self, quick, quick_file, capfd):
        exeunt.run(quick_file, storage=quick, quiet=True)
        assert capfd.readouterr().out == ""

    def test_a_file_with_a_search_is_refused(self, tmp_path, quick_file):
        file = tmp_path / "search.yaml"
        file.write_text(quick_file.read_text().replace("temperature: [1, 3]", "temperature: 3") + SEARCH)
        with pytest.raises(exeunt.SpecError, match="has a `search` part; run: exeunt search"):
            exeunt.run(file, storage=tmp_path)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"only": ["eed/resnet9"]}, "--only eed/resnet9 matches no trial of the sweep"),
            ({"max_concurrent": 0}, "`max_concurrent >= 1` must hold, but got max_concurrent=0"),
            ({"tracking": "nowhere"}, "'nowhere' is neither a server nor a database"),
        ],
    )
    def test_wrong_options_are_refused_before_the_training(self, tmp_path, quick_file, options, message):
        with pytest.raises(exeunt.SpecError, match=message):
            exeunt.run(quick_file, storage=tmp_path, **options)
        assert list(tmp_path.iterdir()) == []

    def test_another_thread_than_the_main_one_is_refused(self, tmp_path, quick_file):
        with ThreadPoolExecutor(1) as pool, pytest.raises(exeunt.SpecError, match="needs the main thread"):
            pool.submit(exeunt.run, quick_file, storage=tmp_path).result()


SEARCH = """\
search:
  seed: 7
  budget: 2
  recipe: {learning_rate: {low: 0.01, high: 0.5, log: true}}
"""


@pytest.mark.slow
class TestOpen:
    def test_an_unknown_sweep_is_refused_with_the_nearest(self, quick):
        with pytest.raises(exeunt.SpecError, match=r"no sweep 'quik' was launched in .*; the nearest is 'quick'"):
            exeunt.open("quik", storage=quick)

    def test_the_status_has_a_row_for_each_trial(self, sweep):
        status = sweep.status()
        assert status["label"].tolist() == LABELS
        assert set(status["state"]) == {"done"}
        assert status["epoch"].isna().all()

    def test_the_status_of_a_started_trial_has_its_epoch(self, sweep, tmp_path, quick_file):
        plan, store = sweep.plan, Store(tmp_path)
        store.save_sweep(exeunt.plan(quick_file, storage=tmp_path).planned)
        source, target = sweep.store.trial(plan.trials[0].key), store.trial(plan.trials[0].key)
        target.write_spec(source.spec())
        target.write_history(source.history()[:1])
        with store.attempt(plan.trials[0].key, "driver"):
            first = exeunt.open("quick", storage=tmp_path).status().iloc[0]
        assert (first["state"], first["epoch"], first["epochs"], first["images"]) == ("running", 1, 2, "validation")
        assert first["accuracy"] == source.history()[0]["validation/final/top1"]

    def test_trials_have_labels_and_the_reported_accuracy(self, sweep):
        trials = sweep.trials()
        recorded = load(sweep.tracking_uri, "quick")
        assert trials["label"].tolist() == LABELS
        assert trials["accuracy"].tolist() == recorded["test/final/top1"].tolist()
        assert set(recorded) < set(trials)

    def test_the_history_has_the_labels(self, sweep):
        history = sweep.history()
        assert history.groupby("label", sort=False)["epoch"].max().to_dict() == dict.fromkeys(LABELS, 2)

    def test_a_table_is_that_of_the_command_in_every_format(self, sweep, run):
        table = sweep.table("exits")
        forms = {"text": str(table), "csv": table.to_csv(), "latex": table.to_latex(), "markdown": table.to_markdown()}
        forms |= {"html": table._repr_html_(), "json": table.to_json()}
        for form, text in forms.items():
            words = ["table", "quick", "--kind", "exits", "--format", form, "--storage", sweep.store.location]
            assert run(*words, *(["--width", "100"] if form == "text" else [])).out == text

    def test_a_frame_of_a_table_has_the_numbers_of_its_csv(self, sweep, tmp_path):
        (tmp_path / "table.csv").write_text(sweep.table().to_csv())
        frame = sweep.table().to_frame()
        numbers = frame.select_dtypes("number")
        read = pd.read_csv(tmp_path / "table.csv", keep_default_na=False, na_values=dict.fromkeys(numbers, ""))
        pd.testing.assert_frame_equal(frame, read, check_dtype=False)
        assert {"mean", "std"} <= set(numbers)

    def test_an_unknown_kind_is_refused_with_the_nearest(self, sweep):
        with pytest.raises(exeunt.SpecError, match="unknown kind of table 'mian'; the nearest is 'main'"):
            sweep.table("mian")
