"""A trained trial through `import exeunt`: loading by name, thresholds of early exits, export."""

import json
import shutil
from dataclasses import replace

import exeunt
import pytest
import torch
from exeunt.models import exit_costs, scaled
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
        again = evaluate(scaled(logits, found.temperatures), labels, costs, found.criterion, found.thresholds)
        assert (found.images, found.accuracy, found.shares) == (len(labels), again.accuracy, again.shares)
        assert found.cost == pytest.approx(again.cost / costs[-1])
        early = trial.early_exit(found)
        assert (early.thresholds, early.temperatures) == (found.thresholds, found.temperatures)
        assert all(temperature != 1 for temperature in found.temperatures)
        assert (found.guarantee, found.latency_ms) == (None, None)

    def test_an_accuracy_is_reached_at_less_cost(self, trial):
        logits, labels = validation_logits(trial.trained, DataSource())
        final = (logits[-1].argmax(1) == labels).double().mean().item()
        found = trial.calibrate(accuracy=final - 0.05, criterion="entropy")
        assert found.accuracy >= final - 0.05
        assert found.cost < 1
        assert f"entropy with thresholds {found.thresholds[0]:.4g}"[:24] in str(found)

    def test_a_mean_latency_keeps_within_milliseconds(self, trial, monkeypatch):
        monkeypatch.setattr("exeunt.sweep.calibration.exit_latencies", lambda *_, **__: (0.002, 0.0019, 0.01))
        found = trial.calibrate(latency_ms=4)
        assert found.latencies_ms == (2, 2, 10)
        assert found.latency_ms == pytest.approx(2 * sum(found.shares[:2]) + 10 * found.shares[2])
        assert found.latency_ms <= 4
        assert f"{found.latency_ms:.3g} ms per image" in str(found)
        with pytest.raises(exeunt.SpecError, match=r"latency_ms >= 2, the time to the first exit.*latency_ms=1"):
            trial.calibrate(latency_ms=1)

    def test_the_latency_is_measured_on_this_machine(self, trial):
        found = trial.calibrate(latency_ms=10_000)
        assert 0 < found.latencies_ms[0] <= found.latencies_ms[1] <= found.latencies_ms[2] < 10_000

    def test_a_risk_is_guaranteed_by_images_that_chose_nothing_else(self, trial):
        found = trial.calibrate(risk=0.2, confidence=0.8)
        assert found.guarantee.images + found.images // 2 == found.images
        assert found.guarantee.errors <= found.guarantee.allowed
        assert found.target.confidence == 0.8
        assert "guaranteed with confidence 0.8: at most 20% of all images are correct at the final exit" in str(found)
        assert found != trial.calibrate(risk=0.3)
        assert trial.calibrate(risk=0.3).target.confidence == 0.9
        with pytest.raises(exeunt.SpecError, match=r"risk 0\.001 cannot be guaranteed .* needs at least 2302 images"):
            trial.calibrate(risk=0.001)

    @pytest.mark.parametrize("options", [{"budget": 0.7}, {"accuracy": 0.3}, {"risk": 0.2}])
    def test_test_images_change_nothing(self, trial, monkeypatch, options):
        found = trial.calibrate(**options)
        facts, poisoned = trial.spec.dataset_facts, []

        def poison(source):
            train, test = facts.load(source)
            poisoned.append(replace(test, pixels=test.pixels.flip(0), labels=(test.labels + 1) % 10))
            return train, poisoned[-1]

        monkeypatch.setattr(type(trial.spec), "dataset_facts", replace(facts, load=poison))
        assert trial.calibrate(**options) == found
        assert poisoned

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, "give one of budget, latency_ms, accuracy, risk, but got none of them"),
            ({"budget": 0.5, "accuracy": 0.5}, "give one of budget, .*, but got budget=0.5 and accuracy=0.5"),
            ({"budget": 0.5, "confidence": 0.9}, "confidence=0.9 needs a risk"),
            ({"latency_ms": 0}, "latency_ms > 0"),
            ({"risk": 5}, "0 < risk < 1"),
            ({"risk": 0.1, "confidence": 95}, "0 < confidence < 1"),
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
        assert tuple(kept["temperatures"]) == found.temperatures
        assert (kept["target"]["budget"], kept["guarantee"]) == (0.7, None)
        again = exeunt.open("quick", storage=storage).load("resnet8", "eed temperature=3")
        assert again.calibration == found
        words = ["export", "quick", "resnet8", "eed temperature=3", "--storage", storage]
        answer = run(*words, "--out", tmp_path / "net.pt2")
        assert "output: the logits of all exits, divided by their temperatures." in answer.out
        assert json.loads((tmp_path / "net.early_exit.json").read_text()) == kept | {"temperatures_applied": True}

    @pytest.mark.parametrize("words", [("--risk", 0.2, "--confidence", 0.8), ("--latency-ms", 1000)])
    def test_a_guarantee_and_times_are_kept(self, calibrate, trial, storage, words):
        status, out, err = calibrate(*words)
        assert (status, err) == (0, "")
        found = exeunt.open("quick", storage=storage).load("resnet8", "eed temperature=3").calibration
        assert out.startswith(f"{found}\n")
        kept = json.loads((storage / "trials" / trial.key / "early_exit.json").read_text())
        if words[0] == "--risk":
            assert kept["guarantee"] == {"risk": 0.2, "confidence": 0.8} | {
                name: getattr(found.guarantee, name) for name in ("images", "errors", "allowed")
            }
        else:
            assert kept["latencies_ms"] == list(found.latencies_ms)

    @pytest.mark.parametrize("suffix", [".pt2", ".onnx", ".safetensors"])
    def test_an_exported_network_leaves_as_the_early_exits_in_python(self, calibrate, trial, storage, tmp_path, suffix):
        calibrate("--budget", 0.7)
        again = exeunt.open("quick", storage=storage).load("resnet8", "eed temperature=3")
        path = again.export(tmp_path / f"net{suffix}")
        kept = json.loads((tmp_path / "net.early_exit.json").read_text())
        images = torch.rand(5, *trial.image_shape)
        if suffix == ".safetensors":
            assert kept["temperatures_applied"] is False
            return
        with torch.no_grad():
            expected = [one / t for one, t in zip(trial.network(images).logits, kept["temperatures"], strict=True)]
        if suffix == ".onnx":
            runtime = pytest.importorskip("onnxruntime")
            session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
            found = [torch.from_numpy(one) for one in session.run(None, {session.get_inputs()[0].name: images.numpy()})]
        else:
            found = torch.export.load(path).module()(images)
        torch.testing.assert_close(list(found), expected, rtol=1e-4, atol=1e-5)
        leaves = [
            one.softmax(1).amax(1) >= at for one, at in zip(found, kept["thresholds"], strict=False) if at is not None
        ]
        assert (torch.stack(leaves).any(0) == (again.early_exit(again.calibration)(images).exits < 3)).all()

    def test_thresholds_of_other_weights_are_not_used(self, calibrate, trial, storage):
        calibrate("--accuracy", 0.1)
        file = storage / "trials" / trial.key / "early_exit.json"
        file.write_text(file.read_text().replace('"weights": "', '"weights": "0')[:-1])
        with pytest.raises(exeunt.SpecError, match=r"early_exit.json is damaged.*run `exeunt calibrate` again"):
            _ = exeunt.open("quick", storage=storage).load("resnet8", "eed temperature=3").calibration
        record = json.loads(file.read_text())
        file.write_text(json.dumps(record | {"weights": "0" * 64}))
        assert exeunt.open("quick", storage=storage).load("resnet8", "eed temperature=3").calibration is None

    def test_it_needs_a_target(self, calibrate):
        status, out, err = calibrate()
        assert (status, out) == (2, "")
        assert err.startswith("exeunt: give one of budget, latency_ms, accuracy, risk, but got none of them")


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
