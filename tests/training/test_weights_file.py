"""Weights of a teacher as people save them."""

import argparse
import copy

import numpy as np
import pytest
import torch
from exeunt.models import ArchitectureSpec, build_network, original_state
from exeunt.specs import SpecError
from exeunt.training.weights_file import fitted, read_content


def network(name="resnet8", seed=0):
    return build_network(ArchitectureSpec(name=name), image_shape=(3, 32, 32), classes=10, seed=seed)


def read(path, content, into=None):
    torch.save(content, path)
    return fitted(path, read_content(path), into or network(seed=1))


def state():
    return network().state_dict()


def other():
    return network(seed=2).state_dict()


def prefixed(prefix, content):
    return {f"{prefix}{name}": value for name, value in content.items()}


def without_counters(content):
    return {name: value for name, value in content.items() if not name.endswith("num_batches_tracked")}


@pytest.mark.parametrize(
    ("content", "taken"),
    [
        (state, ()),
        (lambda: prefixed("module.", state()), ("prefix 'module.' removed",)),
        (lambda: prefixed("module._orig_mod.", state()), ("prefix 'module._orig_mod.' removed",)),
        (lambda: {"epoch": 240, "model": state(), "best_acc": 71.2}, ("key 'model'",)),
        (lambda: {"state_dict": state(), "epoch": 200, "optimizer": {"state": {}}}, ("key 'state_dict'",)),
        (
            lambda: {"net": prefixed("module.", state()), "acc": np.float64(3)},
            ("key 'net'", "prefix 'module.' removed"),
        ),
        (lambda: {"args": argparse.Namespace(lr=0.1), "model_state_dict": state()}, ("key 'model_state_dict'",)),
        (lambda: {"whatever": state(), "x": None}, ("key 'whatever'",)),
        (lambda: without_counters(state()), ("counters of batches set to 0",)),
        (
            lambda: {"state_dict": prefixed("model.", state()) | {"criterion.weight": torch.ones(1)}},
            ("key 'state_dict'", "prefix 'model.' removed"),
        ),
        (lambda: state() | {"total_ops": torch.zeros(1), "trunk.stem.total_params": torch.zeros(1)}, ()),
        (lambda: state() | {"exits.block1.classifier.weight": torch.zeros(1)}, ()),
        (lambda: {name.removeprefix("trunk."): value for name, value in state().items()}, ()),
    ],
)
def test_weights_are_taken_out_of_what_programs_put_around_them(tmp_path, content, taken):
    found = read(tmp_path / "weights.pt", content())
    assert found.taken == taken
    for name, tensor in state().items():
        if name.endswith("num_batches_tracked"):
            assert found.state[name] == 0
        else:
            assert torch.equal(found.state[name], tensor)


def test_of_two_candidates_the_one_that_is_no_average_is_taken_and_the_other_named(tmp_path):
    found = read(tmp_path / "weights.pt", {"model_ema": other(), "model": state()})
    assert all(torch.equal(found.state[name], tensor) for name, tensor in state().items())
    key, advice = found.taken
    assert key == "key 'model'"
    assert advice == "for 'model_ema' instead, save it alone with torch.save(torch.load(FILE)['model_ema'], NEW)"


@pytest.mark.parametrize("name", ["torchvision/resnet18", "torchvision/mobilenet_v3_small", "timm/resnet18"])
def test_the_names_of_the_library_are_read(tmp_path, name):
    library, _, model = name.partition("/")
    if library == "torchvision":
        from torchvision import models

        theirs = models.get_model(model, num_classes=10)
    else:
        theirs = pytest.importorskip("timm").create_model(model, num_classes=10)
    ours = network(name)
    found = read(tmp_path / "weights.pt", theirs.state_dict(), ours)
    ours.load_state_dict(found.state)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(ours.eval()(images).logits[-1], theirs.eval()(images))
    back = original_state(ours)
    assert all(torch.equal(back[name], tensor) for name, tensor in theirs.state_dict().items())


def other_shape():
    content = state()
    content["trunk.classifier.weight"] = torch.zeros(7, 64)
    return content


def not_finite():
    content = copy.deepcopy(state())
    content["trunk.classifier.bias"][3] = torch.nan
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: network("resnet14").state_dict(), "these are the weights of another network: "),
        (other_shape, "trunk.classifier.weight is (7, 64) instead of (10, 64)"),
        (not_finite, "trunk.classifier.bias has values that are not finite (NaN or infinity)"),
        (lambda: torch.zeros(3), "weights.pt holds no weights but a Tensor; save network.state_dict() in it"),
        (lambda: {"epoch": 1, "lr": 0.1}, "holds no weights but the keys 'epoch', 'lr'; save network.state_dict()"),
        (
            network,
            "holds exeunt.models.network.MultiExitNetwork, which reading would run as code; save only the weights",
        ),
        (dict, "holds no weights but"),
    ],
)
def test_what_does_not_fit_is_one_message(tmp_path, content, message):
    with pytest.raises(SpecError) as refused:
        read(tmp_path / "weights.pt", content())
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_cut_off_is_one_message(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch", reason="needs the extra export")
    for name in ("weights.pt", "weights.safetensors"):
        path = tmp_path / name
        if path.suffix == ".pt":
            torch.save(state(), path)
        else:
            safetensors.save_file(state(), path)
        content = path.read_bytes()
        for length in (0, 1, 7, 100, len(content) // 2, len(content) - 1):
            with pytest.raises(SpecError, match=name):
                fitted(path, content[:length], network())


def test_what_is_no_regular_file_is_refused(tmp_path):
    with pytest.raises(SpecError, match="not a regular file"):
        read_content(tmp_path / "/dev/zero")
    with pytest.raises(SpecError, match="not a regular file"):
        read_content(tmp_path)
    with pytest.raises(SpecError, match="cannot be read: No such file"):
        read_content(tmp_path / "absent.pt")
    (tmp_path / "large.pt").touch()
    with (tmp_path / "large.pt").open("r+b") as file:
        file.truncate(2**36)
    with pytest.raises(SpecError, match=r"have 64 GiB \(maximum 8 GiB\)"):
        read_content(tmp_path / "large.pt")
