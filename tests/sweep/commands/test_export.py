"""Tests of `exeunt export` through the command line, with a trained trial."""

import pytest
import torch
from exeunt.losses import EED
from exeunt.models import ArchitectureSpec, ExitSpec, TruncatedNetwork
from exeunt.store.trial_store import Store
from exeunt.training import DatasetSpec, Recipe, TrialSpec, build_student, train

FORMATS = {"safetensors": ".safetensors", "torch": ".pt2", "onnx": ".onnx"}
IMAGES = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def trial():
    return TrialSpec(
        dataset=DatasetSpec(name="digits"),
        architecture=ArchitectureSpec(name="resnet8"),
        method=EED(),
        exits=ExitSpec(placement="all"),
        recipe=Recipe(epochs=1, batch_size=256, precision="fp32"),
        seed=0,
        teacher=None,
    )


@pytest.fixture(scope="module")
def store(trial, tmp_path_factory):
    """Store with the trial, trained for one epoch."""
    store = Store(tmp_path_factory.mktemp("storage"))
    train(trial, store.trial(trial.key), device="cpu")
    return store


@pytest.fixture(scope="module")
def network(trial, store):
    network = build_student(trial)
    network.load_state_dict(torch.load(store.trial(trial.key).directory.path / "weights.pt", weights_only=True))
    return network.eval()


@pytest.fixture
def export(store, run, monkeypatch, tmp_path):
    """Run the command in this process and in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: run("export", *words, "--storage", store.location)


def outputs_of(path, part):
    """Return the logits of each exit for `IMAGES`; weights from a file are loaded into `part`."""
    match path.suffix:
        case ".onnx":
            import onnxruntime

            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            return [torch.from_numpy(logits) for logits in session.run(None, {"images": IMAGES.numpy()})]
        case ".pt2":
            logits = torch.export.load(path).module()(IMAGES)
        case _:
            from safetensors.torch import load_file

            logits = torch.func.functional_call(part, load_file(path), (IMAGES,), strict=True)
    return [logits] if isinstance(logits, torch.Tensor) else list(getattr(logits, "logits", logits))


@pytest.mark.slow
@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("exit_number", [None, 2])
@pytest.mark.parametrize("form", FORMATS)
def test_a_file_gives_the_logits_of_the_trained_network(export, trial, network, tmp_path, form, exit_number):
    if form != "torch":
        pytest.importorskip("safetensors" if form == "safetensors" else "onnxruntime")
    words = [] if exit_number is None else ["--exit", str(exit_number)]
    status, out, err = export(trial.key, "--format", form, *words)
    assert (status, err) == (0, "")
    path = tmp_path / f"{trial.key}{'-exit2' if exit_number else ''}{FORMATS[form]}"
    assert list(tmp_path.iterdir()) == [path]
    assert out.startswith(f"{path.name}: eed, resnet8, seed 0; input: images (N, 1, 8, 8)")
    assert f"output: the logits of {'exit 2' if exit_number else 'all exits'}" in out
    with torch.no_grad():
        all_exits = network(IMAGES).logits
        part = TruncatedNetwork(network, exit_number) if exit_number else network
        found = outputs_of(path, part)
    expected = list(all_exits) if exit_number is None else [all_exits[exit_number - 1]]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("f00 --format torch", "no trained network has the key 'f00'"),
        ("KEY --exit 4", "`1 <= exit <= 3` must hold, but got exit=4"),
        ("KEY --exit 0", "`1 <= exit <= 3` must hold, but got exit=0"),
        ("KEY --out net.onnx", "path ends in .pt2 for format torch"),
        ("KEY --out nowhere/net.pt2", "nowhere/net.pt2 cannot be written: No such file or directory"),
        ("KEY --out folder.pt2", "path is not a directory"),
    ],
)
def test_what_cannot_be_exported_is_one_message_and_status_2(export, trial, tmp_path, words, message):
    (tmp_path / "folder.pt2").mkdir()
    status, out, err = export(*words.replace("KEY", trial.key).split())
    assert (status, out) == (2, "")
    assert err.startswith("exeunt: ")
    assert message in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["folder.pt2"]


def test_other_weights_than_those_of_the_result_are_refused(export, trial, store):
    file = store.trial(trial.key).directory.path / "weights.pt"
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    try:
        status, out, err = export(trial.key)
    finally:
        file.write_bytes(content)
    assert (status, out) == (2, "")
    assert err == f"exeunt: {file} does not match result.json (digests differ); run `exeunt verify`.\n"


@pytest.mark.parametrize("key", ["", "..", "../trials/KEY", "/etc", "KEY/", "KEY\n", "KEY\0", "\udcff", "KEY-s0"])
def test_a_path_is_no_key(export, trial, store, monkeypatch, key):
    opened = []
    monkeypatch.setattr(Store, "trial", lambda self, key, trial=Store.trial: opened.append(key) or trial(self, key))
    for written in (key.replace("KEY", trial.key), f"{store.location}/trials/{trial.key}"):
        status, out, err = export(written)
        assert (status, out) == (2, "")
        assert err.startswith(f"exeunt: no trained network has the key {written!r} in ")
        assert err.endswith("`exeunt explain NAME ARCH METHOD` lists the keys of a table cell.\n")
        assert err.count("\n") == 1
    assert {*opened} <= {trial.key}


def test_a_misspelt_key_names_the_nearest(export, trial):
    _, _, err = export(trial.key[:-1])
    assert f"the nearest is {trial.key!r}" in err


def test_an_unknown_format_is_status_2_without_a_traceback(export, trial):
    status, out, err = export(trial.key, "--format", "keras")
    assert (status, out) == (2, "")
    assert "Traceback" not in err
