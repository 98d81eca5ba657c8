"""Teachers with weights from a file."""

import hashlib
import json

import pytest
import torch
from exeunt.models import ArchitectureSpec, ExitSpec, build_network
from exeunt.specs import SpecError
from exeunt.store import TrialFiles
from exeunt.store.trial_store import Store
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.planning.yaml_document import DocumentError
from exeunt.training import TrialSpec, train
from safetensors.torch import save_file

FILE = """\
name: taught
dataset: digits
architectures: [resnet8]
seeds: [0]
recipe: {base: fast, epochs: 1, batch_size: 512}
methods:
  kd: {teacher: "resnet14@weights/teacher.pt"}
"""


def weights(architecture="resnet14", exits="none", classes=10):
    network = build_network(
        ArchitectureSpec(name=architecture),
        ExitSpec(placement=exits),
        image_shape=(1, 8, 8),
        classes=classes,
        seed=5,
    )
    return network.state_dict()


@pytest.fixture
def file(tmp_path):
    """Write a teacher's weights beside the sweep file."""
    path = tmp_path / "weights" / "teacher.pt"
    path.parent.mkdir()
    torch.save(weights(), path)
    return path


def only_trial(sweep):
    (planned,) = make_plan(sweep).trials
    return planned


def only_spec(sweep):
    return TrialSpec.from_dict(only_trial(sweep).located_spec)


def test_a_teacher_from_a_file_is_planned_no_training_of(read, file):
    planned = only_trial(read(FILE))
    assert planned.depends_on == ()
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    assert planned.spec["teacher"] == {"architecture": {"name": "resnet14"}, "sha256": sha256}
    teacher = TrialSpec.from_dict(json.loads(json.dumps(planned.located_spec))).teacher
    assert (teacher.architecture.name, teacher.path, teacher.sha256) == ("resnet14", str(file), sha256)


def test_the_key_follows_the_content_and_not_the_path(read, file):
    key = only_trial(read(FILE)).key
    elsewhere = file.rename(file.parents[1] / "elsewhere.pt")
    assert only_trial(read(FILE.replace("weights/teacher.pt", str(elsewhere)))).key == key
    both = FILE.replace('"resnet14@weights/teacher.pt"', f"['resnet14@elsewhere.pt', 'resnet14@{elsewhere}']")
    assert only_trial(read(both)).key == key
    assert only_trial(read(FILE.replace('weights/teacher.pt"', 'elsewhere.pt", teacher_seed: 3'))).key == key
    torch.save({name: tensor + 1 for name, tensor in weights().items()}, file)
    assert only_trial(read(FILE)).key != key
    trained = {trial.key for trial in make_plan(read(FILE.replace("@weights/teacher.pt", ""))).trials}
    assert key not in trained


def test_self_with_a_file_is_the_students_architecture(read, file):
    torch.save(weights("resnet8"), file)
    assert only_trial(read(FILE.replace("resnet14@", "self@"))).spec["teacher"]["architecture"] == {"name": "resnet8"}


@pytest.mark.usefixtures("file")
def test_a_launched_sweep_is_read_again_from_its_storage(read, run, tmp_path):
    sweep = read(FILE)
    store = Store(tmp_path / "storage")
    store.save_sweep(make_plan(sweep))
    answer = run("status", "taught", "--storage", store.location)
    assert answer.status == 0, answer.err
    assert "1 trial in" in answer.out


@pytest.mark.parametrize(
    "folder",
    ["a, b", "a #1", "a: b", "[a]", "{a", "it's", '"a"', "a\\b", "a ä\u2028b", "x" * 90 + " " + "y" * 90],
    ids=ascii,
)
def test_a_launched_sweep_is_read_again_from_any_folder(folder, file, tmp_path):
    written = FILE.replace('"resnet14@weights/teacher.pt"', "[&one resnet14@a.pt, 'resnet14@a.pt2', *one]")
    written += (
        "  tf_kd_reg: {}\n  fitnet:\n    teacher: >-\n      resnet14@a.pt2\n\n  # resnet14@a.pt\n  baseline: {}\n"
    )
    path = tmp_path / folder / "sweep.yaml"
    path.parent.mkdir()
    path.write_text(written, encoding="utf-8")
    for name in ("a.pt", "a.pt2"):
        (path.parent / name).write_bytes(file.read_bytes())
    store = Store(tmp_path / "storage")
    launched = read_sweep(path)
    store.save_sweep(make_plan(launched))
    plan = store.plan("taught")
    assert [trial.configuration.weights for trial in plan.trials] == [
        str(path.parent / name) if name else "" for name in ("a.pt", "", "a.pt2", "")
    ]
    kept = tmp_path / "kept.yaml"
    kept.write_text(plan.text, encoding="utf-8")
    again = read_sweep(kept)
    assert [trial.teacher and trial.teacher.path for trial in again.trials] == [
        str(path.parent / name) if name else None for name in ("a.pt", "a.pt2", "a.pt", None, "a.pt2", None)
    ]
    assert again.trials == launched.trials
    assert again.text == launched.text


@pytest.mark.usefixtures("file")
def test_all_else_is_kept_as_it_was_written(read, tmp_path):
    written = FILE + "  # ä resnet14@weights/teacher.pt\n"
    kept = FILE.replace("weights/teacher.pt", f"{tmp_path}/weights/teacher.pt") + "  # ä resnet14@weights/teacher.pt\n"
    assert read(written).text == kept


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        (b"no weights", "is neither a state_dict"),
        (b"", "is neither a state_dict"),
        ({"epoch": 3}, "holds no weights but the keys 'epoch'"),
        ([torch.zeros(2)], "holds no weights but a list"),
        (weights("resnet8"), "these are the weights of another network: "),
        (weights(classes=100), "trunk.classifier.weight is (100, 64) instead of (10, 64)"),
        ({**weights(), "more": torch.zeros(2)}, "1 unexpected (first: more)"),
        ({}, "holds no weights but"),
    ],
    ids=str,
)
def test_a_file_that_holds_no_such_weights_is_refused_when_the_sweep_is_read(read, file, content, said):
    if content is None:
        file.unlink()
    elif isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(DocumentError) as refusal:
        read(FILE)
    message = str(refusal.value)
    assert "sweep.yaml:7: methods.kd.teacher: for resnet8, " in message
    assert str(file) in message
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("resnet41@weights/teacher.pt", "unknown teacher 'resnet41'; the nearest is"),
        ("resnet14@", "'resnet14@' has no file after the @; write ARCHITECTURE@FILE"),
        ("@weights/teacher.pt", "unknown teacher ''"),
    ],
)
def test_a_teacher_is_an_architecture_at_a_file(read, written, said):
    with pytest.raises(DocumentError, match=r"methods\.kd\.teacher: ") as refusal:
        read(FILE.replace("resnet14@weights/teacher.pt", written))
    assert said in str(refusal.value)


def test_a_file_that_changed_since_the_sweep_was_read_teaches_nothing(read, file, tmp_path):
    trial = only_spec(read(FILE))
    torch.save({name: tensor + 1 for name, tensor in weights().items()}, file)
    with pytest.raises(SpecError, match=r"teacher\.pt has changed: its SHA-256 is"):
        train(trial, TrialFiles(tmp_path / "trial"), teacher=file, device="cpu")


@pytest.mark.slow
def test_the_same_weights_teach_the_same_in_every_kind_of_file(read, file, tmp_path):
    """With exits, without exits and as safetensors, the same weights give the same student."""
    torch.save(weights(exits="all"), file.with_name("exits.pt"))
    save_file(weights(), file.with_name("teacher.safetensors"))
    students = []
    for name in ("teacher.pt", "exits.pt", "teacher.safetensors"):
        trial = only_spec(read(FILE.replace("teacher.pt", name)))
        directory = TrialFiles(tmp_path / name)
        train(trial, directory, teacher=file.with_name(name), device="cpu")
        students.append(torch.load(directory.directory.path / "weights.pt"))
    assert all(torch.equal(tensor, other[name]) for other in students[1:] for name, tensor in students[0].items())
    torch.save({name: 2 * tensor for name, tensor in weights().items()}, file)
    train(only_spec(read(FILE)), again := TrialFiles(tmp_path / "other"), teacher=file, device="cpu")
    other = torch.load(again.directory.path / "weights.pt")
    assert not all(torch.equal(tensor, other[name]) for name, tensor in students[0].items())


@pytest.mark.slow
def test_what_one_trial_left_teaches_in_a_sweep_that_trains_no_teacher(read, exeunt, tmp_path):
    with_exits = FILE.replace("resnet8", "resnet14").replace('kd: {teacher: "resnet14@weights/teacher.pt"}', "eed: {}")
    train(only_spec(read(with_exits)), TrialFiles(tmp_path / "weights"), device="cpu")
    (tmp_path / "sweep.yaml").write_text(FILE.replace("teacher.pt", "weights.pt"))
    answer = exeunt("sweep", tmp_path / "sweep.yaml", "--storage", tmp_path / "storage")
    assert answer.status == 0, answer.err
    assert "taught: 1 trial, 1 to train" in answer.out
    (student,) = (tmp_path / "storage" / "trials").iterdir()
    assert json.loads((student / "result.json").read_text())["state"] == "done"
    assert json.loads((student / "spec.json").read_text())["teacher"] == {
        "architecture": {"name": "resnet14"},
        "sha256": hashlib.sha256((tmp_path / "weights" / "weights.pt").read_bytes()).hexdigest(),
    }
