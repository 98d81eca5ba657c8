import json
import math
import re
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from exeunt.losses import CRD, EED, KD, FinalTarget
from exeunt.models import ExitSpec, build_network
from exeunt.specs import SpecError
from exeunt.store import DamagedFileError, TrialFiles
from exeunt.training import TrialSpec, datasets, train
from torch.testing import assert_close

CLOCK = {"seconds", "time", "images_per_second", "peak_memory_bytes", "joules", "device_seconds"}
FRESH_PROCESS = """
import json, sys
from pathlib import Path
from exeunt.training import TrialSpec, train
from exeunt.store import TrialFiles
train(TrialSpec.from_dict(json.loads(sys.argv[1])), TrialFiles(Path(sys.argv[2])), device="cpu")
"""


def killed_after(epoch):
    def on_epoch(record):
        if record["epoch"] == epoch:
            raise InterruptedError

    return on_epoch


def without_clock(history):
    return [{name: value for name, value in record.items() if name not in CLOCK} for record in history]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Function that trains a trial in a new directory and returns the directory."""

    def trained(trial: TrialSpec, **options):
        directory = TrialFiles(tmp_path_factory.mktemp("trial") / "trial")
        train(trial, directory, device="cpu", **options)
        return directory

    return trained


@pytest.fixture(scope="module")
def eed(make_trial):
    return make_trial(EED(), exits="all", seed=7, epochs=2)


@pytest.fixture(scope="module")
def trained_eed(run, eed):
    return run(eed)


@pytest.fixture(scope="module")
def teacher(run, make_trial):
    trial = make_trial(seed=1, epochs=1)
    return trial, run(trial).directory.path / "weights.pt"


@pytest.fixture(scope="module")
def kd(make_trial, teacher):
    return make_trial(KD(), architecture="resnet14", exits="1", seed=3, epochs=1, teacher=teacher[0])


def assert_same_weights(weights_of, first, second):
    assert_close(weights_of(first.directory.path), weights_of(second.directory.path), rtol=0, atol=0)


@pytest.mark.slow
def test_a_trial_gives_the_same_weights_after_a_different_one_in_the_same_process(
    run, weights_of, eed, kd, teacher, trained_eed
):
    run(replace(kd, seed=11), teacher=teacher[1])
    torch.manual_seed(12345)
    again = run(eed)
    assert_same_weights(weights_of, again, trained_eed)
    assert without_clock(again.history()) == without_clock(trained_eed.history())


@pytest.mark.slow
def test_a_trial_gives_the_same_weights_in_a_fresh_process(weights_of, eed, trained_eed, tmp_path):
    spec = json.dumps(eed.to_dict())
    subprocess.run([sys.executable, "-c", FRESH_PROCESS, spec, str(tmp_path)], check=True)
    fresh = TrialFiles(tmp_path)
    assert_same_weights(weights_of, fresh, trained_eed)
    assert without_clock(fresh.history()) == without_clock(trained_eed.history())


@pytest.mark.slow
def test_another_seed_gives_other_weights(run, weights_of, eed, trained_eed):
    other = weights_of(run(replace(eed, seed=8)).directory.path)
    first = weights_of(trained_eed.directory.path)
    assert [name for name in first if "weight" in name and torch.equal(first[name], other[name])] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "recipe"),
    [
        (EED(output_loss="kl"), {"schedule": "one_cycle", "nesterov": True}),
        (FinalTarget(), {"schedule": "cosine"}),
        (KD(), {"milestones": (1,)}),
        (CRD(negatives=50), {}),
        (None, {"crop": "none", "flip": False}),
    ],
    ids=["eed", "final_target", "kd", "crd", "baseline"],
)
def test_a_trial_interrupted_after_an_epoch_ends_as_if_it_had_not_been(
    run, make_trial, weights_of, teacher, tmp_path, method, recipe
):
    trial = make_trial(method, exits="all", epochs=2, teacher=teacher[0], **recipe)
    options = {"teacher": teacher[1] if isinstance(method, KD | CRD) else None}
    whole = run(trial, **options)
    for epoch in (1, 2):
        directory = TrialFiles(tmp_path / str(epoch))
        with pytest.raises(InterruptedError):
            train(trial, directory, device="cpu", on_epoch=killed_after(epoch), **options)
        assert directory.result() is None
        assert directory.weights() is None
        assert len(directory.history()) == epoch
        torch.rand(7)
        train(trial, directory, device="cpu", **options)
        assert_same_weights(weights_of, directory, whole)
        assert without_clock(directory.history()) == without_clock(whole.history())
        assert directory.result()["metrics"] == whole.result()["metrics"]


@pytest.mark.slow
def test_a_continued_trial_tells_only_of_the_epochs_it_trained(make_trial, tmp_path):
    trial, told = make_trial(epochs=3), []
    with pytest.raises(InterruptedError):
        train(trial, TrialFiles(tmp_path), device="cpu", on_epoch=killed_after(2), checkpoint_minutes=0)
    train(trial, TrialFiles(tmp_path), device="cpu", on_epoch=told.append)
    assert [record["epoch"] for record in told] == [3]


@pytest.mark.slow
@pytest.mark.parametrize("interrupted", [False, True])
def test_settings_of_training_hold_while_it_lasts(make_trial, tmp_path, interrupted):
    torch.manual_seed(42)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    cudnn = torch.backends.cudnn
    assert (cudnn.enabled, cudnn.benchmark) == (True, False)
    seen = []

    def on_epoch(_record):
        seen.append((torch.get_num_threads(), cudnn.enabled, cudnn.benchmark))
        if interrupted:
            raise InterruptedError

    try:
        train(make_trial(epochs=1), TrialFiles(tmp_path), device="cpu", threads=threads + 1, on_epoch=on_epoch)
    except InterruptedError:
        assert interrupted
    assert seen == [(threads + 1, True, True)]
    assert torch.get_num_threads() == threads
    assert (cudnn.enabled, cudnn.benchmark) == (True, False)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_result_is_absent_until_the_end_and_the_test_images_are_seen_once(make_trial, tmp_path):
    directory, seen = TrialFiles(tmp_path), []

    def on_epoch(record):
        names = {path.name for path in tmp_path.iterdir() if not path.name.startswith("checkpoint-")}
        seen.append((directory.result(), names, any(name.startswith("test/") for name in record)))

    result = train(make_trial(epochs=2), directory, device="cpu", on_epoch=on_epoch)
    running = {"spec.json", "history.jsonl"}
    assert seen == [(None, running, False), (None, running, True)]
    assert directory.result() == result
    assert {path.name for path in tmp_path.iterdir()} == {"spec.json", "history.jsonl", "weights.pt", "result.json"}


def test_a_result_tells_what_was_run_and_how_it_ended(eed, trained_eed):
    result, history = trained_eed.result(), trained_eed.history()
    assert result["state"] == "done"
    assert result["key"] == eed.key
    assert result["protocol"] == "last epoch on test"
    assert result["seconds"] == sum(record["seconds"] for record in history)
    assert result["environment"]["precision"] == "fp32"
    assert result["environment"]["threads"] == 1
    assert result["metrics"].items() <= history[-1].items()
    exits = ["exit1", "exit2", "final"]
    what = {f"{name}/{measure}" for name in (*exits, "ensemble") for measure in ("top1", "top5", "nll", "ece")}
    measured = {f"{split}/{name}" for split in ("train", "test") for name in what}
    training = {
        f"train/{name}" for name in ("loss/label", "loss/output", "loss/feature", "learning_rate", "gradient_norm")
    }
    costs = {f"cost/{name}/{cost}" for name in exits for cost in ("parameters", "multiply_adds")} | {"cost/parameters"}
    assert set(result["metrics"]) == measured | training | costs
    assert TrialSpec.from_dict(json.loads((trained_eed.directory.path / "spec.json").read_text())) == eed.canonical()


def test_what_is_recorded_of_the_test_images_is_what_the_kept_weights_say(eed, trained_eed, weights_of):
    from sklearn.metrics import accuracy_score

    facts = datasets["digits"]
    network = build_network(eed.architecture, eed.exits, image_shape=facts.image_shape, classes=10, seed=0)
    network.load_state_dict(weights_of(trained_eed.directory.path))
    test = facts.load()[1]
    with torch.no_grad():
        logits = network.eval()((test.pixels / 255 - facts.mean[0]) / facts.std[0]).logits
    answers = dict(zip(["exit1", "exit2", "final", "ensemble"], [*logits, sum(logits) / 3], strict=True))
    expected = {name: 100 * accuracy_score(test.labels, z.argmax(1)) for name, z in answers.items()}
    recorded = {name: trained_eed.result()["metrics"][f"test/{name}/top1"] for name in answers}
    assert recorded == pytest.approx(expected, abs=100 / len(test.labels))


@pytest.mark.slow
def test_a_network_learns_the_digits(run, make_trial):
    trial = make_trial(EED(), exits="all", epochs=5, batch_size=64, crop="none", flip=False, schedule="one_cycle")
    metrics = run(trial).result()["metrics"]
    assert min(metrics[f"test/{name}/top1"] for name in ("exit1", "exit2", "final", "ensemble")) > 85


def test_a_trial_without_the_weights_of_its_teacher_is_refused(kd, tmp_path):
    for missing in (None, tmp_path / "nowhere" / "weights.pt"):
        directory = TrialFiles(tmp_path / "student")
        with pytest.raises(SpecError, match=f"the teacher's weights are missing: {missing}") as refusal:
            train(kd, directory, teacher=missing, device="cpu")
        assert refusal.value.field == "teacher"
        assert directory.result() is None


@pytest.mark.slow
def test_a_teacher_is_listened_to_and_left_as_it_was(run, kd, teacher, weights_of):
    trial, weights = teacher
    before = weights.read_bytes()
    taught = run(kd, teacher=weights)
    other_teacher = run(replace(trial, seed=2)).directory.path / "weights.pt"
    taught_otherwise = run(kd, teacher=other_teacher)
    assert weights.read_bytes() == before
    assert not torch.equal(
        weights_of(taught.directory.path)["trunk.classifier.weight"],
        weights_of(taught_otherwise.directory.path)["trunk.classifier.weight"],
    )


def test_a_teacher_answers_as_in_evaluation(run, make_trial, teacher, weights_of):
    """With a single step over all images, the recorded term is the divergence from the trained teacher's outputs."""
    trial = make_trial(KD(), seed=4, epochs=1, batch_size=2000, crop="none", flip=False, teacher=teacher[0])
    facts = datasets["digits"]
    student, taught_by = (
        build_network(trial.architecture, image_shape=facts.image_shape, classes=10, seed=4) for _ in range(2)
    )
    taught_by.load_state_dict(weights_of(teacher[1].parent))
    images = (facts.load()[0].pixels / 255 - facts.mean[0]) / facts.std[0]
    with torch.no_grad():
        z, t = student.train()(images).logits[0] / 4, taught_by.eval()(images).logits[0] / 4
    divergence = (t.softmax(1) * (t.log_softmax(1) - z.log_softmax(1))).sum(1).mean()
    recorded = run(trial, teacher=teacher[1]).history()[0]["train/loss/teacher"]
    assert recorded == pytest.approx(0.9 * 4**2 * float(divergence), rel=1e-3)


def test_a_diverged_trial_ends_with_its_reason_and_the_weights_before_the_loss_broke(run, make_trial, weights_of):
    diverged = run(make_trial(EED(), exits="all", epochs=2, learning_rate=1e30))
    result = diverged.result()
    assert result["state"] == "diverged"
    assert result["reason"].startswith("epoch 1, step 2: label and output and ")
    assert "not finite (label nan, output nan," in result["reason"]
    assert result["metrics"] == {}
    assert diverged.history() == []
    assert torch.isfinite(weights_of(diverged.directory.path)["trunk.classifier.weight"]).all()


def test_a_trial_that_diverges_later_keeps_the_epochs_before(run, make_trial):
    trial = make_trial(epochs=3, milestones=(1,), decay=1e30)
    diverged = run(trial)
    assert diverged.result()["state"] == "diverged"
    assert "epoch 2" in diverged.result()["reason"]
    assert [record["epoch"] for record in diverged.history()] == [1]
    assert diverged.result()["metrics"]["train/final/top1"] == diverged.history()[0]["train/final/top1"]


def test_a_network_broken_by_the_very_last_step_has_diverged(run, make_trial):
    diverged = run(make_trial(epochs=1, batch_size=2000, learning_rate=1e30)).result()
    assert (diverged["state"], diverged["metrics"]) == ("diverged", {})
    assert "test/final/nll" in diverged["reason"]


def test_one_image_left_over_joins_the_batch_before(run, make_trial):
    """Batch normalisation of a 1x1 map cannot train on a single image; 1438 = 3 x 479 + 1 gives three steps."""
    assert len(datasets["digits"].load()[0].labels) == 3 * 479 + 1
    record = run(make_trial(epochs=1, batch_size=479, schedule="cosine")).history()[0]
    assert record["train/learning_rate"] == pytest.approx(0.1 * (1 + math.cos(2 / 3 * math.pi)) / 2)


@pytest.mark.slow
def test_irrelevant_settings_do_not_change_the_weights(run, eed, trained_eed, weights_of):
    written_otherwise = replace(eed, exits=ExitSpec(placement="2,1"), method=EED(temperature=9))
    assert_same_weights(weights_of, run(written_otherwise), trained_eed)


def test_an_accelerator_that_is_not_there_is_refused(make_trial, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SpecError, match="device 'cuda' is not available"):
        train(make_trial(), TrialFiles(tmp_path), device="cuda")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('{"state": "do', "is damaged (Unterminated string"),
        ("null", "is damaged (not a JSON object)"),
        ("{}", "is damaged (missing or invalid: state, seconds, metrics, environment)"),
        (
            '{"state": "done", "seconds": 1, "metrics": [], "environment": {}}',
            "is damaged (missing or invalid: metrics)",
        ),
    ],
)
def test_a_damaged_result_is_an_error_that_names_the_file_and_what_it_lacks(tmp_path, written, said):
    (tmp_path / "result.json").write_text(written)
    with pytest.raises(DamagedFileError, match=re.escape(f"{tmp_path / 'result.json'} {said}")):
        TrialFiles(tmp_path).result()


def test_a_history_that_lacks_what_every_epoch_has_is_damaged(tmp_path):
    (tmp_path / "history.jsonl").write_text('{"epoch": 1, "seconds": 2.0, "time": 3.0}\n{"epoch": 2}\n')
    with pytest.raises(DamagedFileError, match=r"history\.jsonl is damaged \(missing or invalid: seconds, time\)"):
        TrialFiles(tmp_path).history()
