"""Training regimes in a sweep: backbones are trained once, and handed to the trials that start with them."""

import json

import pytest
import torch

pytestmark = pytest.mark.slow

FILE = """\
name: regimes
dataset: digits
architectures: [resnet8]
seeds: [0, 1]
recipe: {base: fast, epochs: 2, batch_size: 512}
methods:
  deep_supervision: {exits: "1", regime: [disjoint, branchwise]}
"""


def read(folder, name):
    return json.loads((folder / name).read_text())


def weights(folder):
    return torch.load(folder / "weights.pt", weights_only=True)


def test_a_backbone_is_trained_once_and_its_weights_are_kept(tmp_path, exeunt, run):
    file, storage = tmp_path / "regimes.yaml", tmp_path / "runs"
    file.write_text(FILE)
    answer = exeunt("sweep", file, "--storage", storage)
    assert (answer.status, answer.err) == (0, "")
    assert "regimes: 6 trials, 6 to train" in answer.out
    folders = {path.name: path for path in (storage / "trials").iterdir()}
    specs = {key: read(folder, "spec.json") for key, folder in folders.items()}
    backbones = {spec["seed"]: key for key, spec in specs.items() if spec["method"]["name"] == "baseline"}
    assert sorted(backbones) == [0, 1]
    for key, folder in folders.items():
        spec, result = specs[key], read(folder, "result.json")
        if key in backbones.values():
            assert "backbone" not in result
            continue
        source = backbones[spec["seed"]]
        assert result["backbone"] == {"trial": source, "weights": read(folders[source], "result.json")["weights"]}
        trunk = {name: value for name, value in weights(folder).items() if name.startswith("trunk.")}
        equal = all(torch.equal(value, trunk[name]) for name, value in weights(folders[source]).items())
        assert equal == (spec["regime"] == "disjoint")
    assert run("verify", "--storage", storage).status == 0
    assert exeunt("sweep", file, "--storage", storage).status == 0
    (folders[backbones[0]] / "weights.pt").write_bytes((folders[backbones[1]] / "weights.pt").read_bytes())
    result = read(folders[backbones[0]], "result.json") | {
        "weights": read(folders[backbones[1]], "result.json")["weights"]
    }
    (folders[backbones[0]] / "result.json").write_text(json.dumps(result))
    answer = run("verify", "--storage", storage)
    assert answer.status == 1
    assert "MLflow: 2 problems" in answer.out
    assert "backbone" in answer.out
