"""A trained trial through `import exeunt`: loading by name, thresholds of early exits, export."""

import json
import shutil

import exeunt
import pytest
import torch
from exeunt.models import exit_costs
from exeunt.models.early_exit.calibration import evaluate
from exeunt.sweep.calibration import validation_logits
from exeunt.training import DataSource

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sweep(quick):
    return exeunt.open("quick", storage=quick)


@pytest.fixture(scope="module")
def trial(sweep):
    return sweep.load("resnet8", "eed temperature=3")


class TestLoad:
    def test_a_network_gives_the_recorded_accuracy(self, trial, sweep):
        logits, labels = validation_logits(trial.trained, DataSource())
        right = 100 * (logits[-1].argmax(1) == labels).double().mean().item()
        trials = sweep.trials().set_index("key")
        assert right == pytest.approx(trials.loc[trial.key, "validation/final/top1"])

    def test_it_is_in_evaluation_mode_and_knows_its_images(self, trial):
        assert not trial.network.training
        assert trial.image_shape == (1, 8, 8)
        assert trial.network(torch.rand(2, *trial.image_shape)).logits[-1].shape == (2, 10)
        assert trial.result["state"] == "done"

    def test_a_method_alone_is_enough_if_it_has_one_column(self, sweep):
        assert sweep.load("resnet8", "baseline", seed=0).spec.method.name == "baseline"

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (("resnet9", "eed temperature=3"), "unknown architecture 'resnet9'; the nearest is 'resnet8'"),
            (("resnet8", "eeed"), "unknown method 'eeed'; the nearest is 'eed'"),
            (("resnet8", "eed temperature=2"), "unknown method .*; the nearest is 'eed temperature=3'"),
            (
                ("resnet8", "eed"),
                "method 'eed' has several configurations; choose from 'eed temperature=1', 'eed temperature=3'",
            ),
        ],
    )
    def test_a_name_that_is_wrong_or_not_enough_is_refused_with_those_that_exist(self, sweep, names, message):
        with pytest.raises(exeunt.SpecError, match=message):
            sweep.load(*names)

    def test_a_seed_that_is_not_planned_is_refused(self, sweep):
        with pytest.raises(exeunt.SpecError, match="seed 5 of baseline on resnet8 is not planned; choose from 0"):
            sweep.load("resnet8", "baseline", seed=5)

    def test_a_trial_that_has_not_ended_is_refused_with_the_command_that_trains_it(self, quick_file, tmp_path):
        planned = exeunt.plan(quick_file, storage=tmp_path)
        planned.store.save_sweep(planned.planned)
        with pytest.raises(exeunt.SpecError, match=r"\(state: waiting\); to train it, run: exeunt sweep FILE"):
            exeunt.open("quick", storage=tmp_path).load("resnet8", "baseline")


class TestCalibrate:
    def test_thresholds_within_a_budget_have_the_cost_and_accuracy_of_the_network_with_early_exits(self, trial):
        found = trial.calibrate(budget=0.7)
        assert found.cost <= 0.7
        logits, labels = validation_logits(trial.trained, DataSource())
        costs = [cost.cumulative_multiply_adds for cost in exit_costs(trial.network, trial.image_shape)]
        again = evaluate(logits, labels, costs, found.criterion, found.thresholds)
        assert (found.images, found.accuracy, found.shares) == (len(labels), again.accuracy, again.shares)
        assert found.cost == pytest.approx(again.cost / costs[-1])
        early = trial.early_exit(found)
        assert early.thresholds == found.thresholds

    def test_an_accuracy_is_reached_at_less_cost(self, trial):
        logits, labels = validation_logits(trial.trained, DataSource())
        final = (logits[-1].argmax(1) == labels).double().mean().item()
        found = trial.calibrate(accuracy=final - 0.05, criterion="entropy")
        assert found.accuracy >= final - 0.05
        assert found.cost < 1
        assert f"entropy with thresholds {found.thresholds[0]:.4g}"[:24] in str(found)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, "give either a budget or an accuracy, but got budget=None and accuracy=None"),
            ({"budget": 0.5, "accuracy": 0.5}, "give either a budget or an accuracy"),
            ({"budget": 70}, "0 < budget <= 1"),
            ({"budget": 0.0001}, "budget >= 0"),
            ({"accuracy": 90}, "0 <= accuracy <= 1"),
            ({"accuracy": 1}, "accuracy <= 0.*, the maximum with criterion max_probability"),
            ({"budget": 0.5, "criterion": "entropie"}, "unknown criterion 'entropie'; the nearest is 'entropy'"),
        ],
    )
    def test_wrong_options_are_refused(self, trial, options, message):
        with pytest.raises(exeunt.SpecError, match=message):
            trial.calibrate(**options)

    def test_a_trial_without_exits_is_refused(self, sweep):
        with pytest.raises(exeunt.SpecError, match="has only the final exit, so no image can leave early; choose"):
            sweep.load("resnet8", "baseline").calibrate(budget=0.7)

    @pytest.mark.usefixtures("ray_here")
    def test_a_trial_without_validation_images_is_refused_with_what_to_do(self, quick_file, tmp_path):
        file = tmp_path / "plain.yaml"
        file.write_text(quick_file.read_text().replace("validation: 0.2\n", "").replace("epochs: 2", "epochs: 1"))
        sweep = exeunt.run(file, storage=tmp_path / "runs", only=["eed/*"], quiet=True)
        with pytest.raises(exeunt.SpecError, match=r"held out no validation images.*\. Set `validation: 0\.1` in a"):
            sweep.load("resnet8", "eed temperature=1").calibrate(budget=0.7)


class TestCalibrateCommand:
    @pytest.fixture
    def storage(self, quick, tmp_path):
        """A copy of the storage, which the command changes."""
        return shutil.copytree(quick, tmp_path / "storage")

    @pytest.fixture
    def calibrate(self, run, storage):
        return lambda *words: run("calibrate", "quick", "resnet8", "eed temperature=3", *words, "--storage", storage)

    def test_thresholds_are_kept_and_exported_with_the_network(self, calibrate, trial, run, storage, tmp_path):
        status, out, err = calibrate("--budget", 0.7)
        assert (status, err) == (0, "")
        found = trial.calibrate(budget=0.7)
        assert out == f"{found}\nwritten: {storage}/trials/{trial.key}/early_exit.json\n"
        kept = json.loads((storage / "trials" / trial.key / "early_exit.json").read_text())
        assert (kept["format"], kept["criterion"], tuple(kept["thresholds"])) == (
            1,
            "max_probability",
            found.thresholds,
        )
        assert exeunt.open("quick", storage=storage).load("resnet8", "eed temperature=3").calibration == found
        words = ["export", "quick", "resnet8", "eed temperature=3", "--storage", storage]
        assert run(*words, "--out", tmp_path / "net.pt2").status == 0
        assert json.loads((tmp_path / "net.early_exit.json").read_text()) == kept

    def test_thresholds_of_other_weights_are_not_used(self, calibrate, trial, storage):
        calibrate("--accuracy", 0.1)
        file = storage / "trials" / trial.key / "early_exit.json"
        file.write_text(file.read_text().replace('"weights": "', '"weights": "0')[:-1])
        with pytest.raises(exeunt.SpecError, match=r"early_exit.json is damaged.*run `exeunt calibrate` again"):
            _ = exeunt.open("quick", storage=storage).load("resnet8", "eed temperature=3").calibration
        record = json.loads(file.read_text())
        file.write_text(json.dumps(record | {"weights": "0" * 64}))
        assert exeunt.open("quick", storage=storage).load("resnet8", "eed temperature=3").calibration is None

    def test_it_needs_a_budget_or_an_accuracy(self, calibrate):
        status, out, err = calibrate()
        assert (status, out) == (2, "")
        assert err.startswith("exeunt: give either a budget or an accuracy")


class TestExport:
    @pytest.mark.parametrize("exit_number", [None, 1])
    def test_a_program_gives_the_logits_of_the_network(self, trial, tmp_path, exit_number):
        path = trial.export(tmp_path / "net.pt2", exit=exit_number)
        images = torch.rand(3, *trial.image_shape)
        found = torch.export.load(path).module()(images)
        with torch.no_grad():
            expected = trial.network(images).logits
        torch.testing.assert_close(found if exit_number is None else (found,), expected[: exit_number or None])

    def test_another_suffix_is_refused_with_those_that_exist(self, trial, tmp_path):
        with pytest.raises(exeunt.SpecError, match=r"net.h5' must end in \.safetensors, \.pt2, \.onnx"):
            trial.export(tmp_path / "net.h5")

    def test_original_weights_are_those_of_the_backbone(self, trial):
        state = trial.original_state()
        assert state.keys() == {trial.network.trunk.original_names.get(n, n) for n in trial.network.trunk.state_dict()}

    def test_the_command_finds_a_trial_by_name(self, trial, run, quick, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        answer = run("export", "quick", "resnet8", "eed temperature=3", "--exit", 1, "--storage", quick)
        assert (answer.status, answer.err) == (0, "")
        assert [path.name for path in tmp_path.iterdir()] == [f"{trial.key}-exit1.pt2"]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["quick", "resnet8"], "METHOD is missing; give NAME ARCH METHOD"),
            (["quick", "resnet8", "eed"], "method 'eed' has several configurations"),
            (["quik", "resnet8", "eed"], "no sweep 'quik' was launched"),
            (["f00-s0", "--seed", 1], "--seed 1 needs NAME ARCH METHOD"),
        ],
    )
    def test_wrong_names_are_one_message_and_status_2(self, run, quick, words, message):
        answer = run("export", *words, "--storage", quick)
        assert (answer.status, answer.out) == (2, "")
        assert message in answer.err
        assert answer.err.count("\n") == 1
