"""JSON schema of sweep files: it accepts what the reader accepts, and refuses what the reader refuses for its shape."""

import copy
import json
import random
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from exeunt.specs import SpecError
from exeunt.sweep.planning.schema import TEXTS, sweep_schema
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.planning.yaml_document import Document

ROOT = Path(__file__).parents[3]
FILES = sorted([*(ROOT / "configs").rglob("*.yaml"), *(ROOT / "docs" / "studies").glob("*/sweep.yaml")])
SMALL = """\
name: small
dataset: digits@20%
architectures: [resnet8, resnet14]
seeds: [0, 1]
recipe: {base: fast, epochs: 3, milestones: [1, 2], mixup: 0.2, nesterov: yes}
methods:
  baseline: {}
  kd: {teacher: [self, resnet20], temperature: [1, 4]}
  eed: {exits: [all, 1], output_loss: [mse, kl], temperature: 3, regime: mixed}
exclude: [{method: eed, architecture: resnet8}]
resources: [{cpu: 1, memory: 1 GB, price: 2 EUR}, {architecture: resnet14, cpu: 2}]
stopping: {rule: asha, grace: 1}
validation: 0.2
detect: {difference: 0.5}
equivalent: 1
tracking: [mlflow]
x-note: anything
"""
VALUES = [None, True, 0, -1, 1.5, 10**6, "", "x", "all", "self", "yes", [], {}, [[]], {"a": 1}, "1,2", ["eed"], "50%"]
SHAPE = re.compile(
    r"unknown key|must be [a-z ]+, but got|unknown (method|recipe|head|value|rule)"
    r"|`([\d.]+ <=? )?\w+( <=? [\d.]+)?` must hold"
)
"""Words of the reader about a key, a type, a range or a name."""


@pytest.fixture(scope="module")
def validator():
    schema = sweep_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_file_of_the_repository_is_accepted(file, validator):
    assert [error.message for error in validator.iter_errors(Document(file).content)] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seeds: [0, 1]", "seeds: [0, -1]"),
        ("seeds: [0, 1]", "seeds: zero"),
        ("seeds: [0, 1]", ""),
        ("architectures: [resnet8, resnet14]", "architectures: []"),
        ("architectures: [resnet8, resnet14]", "architectures: resnet8, resnet14"),
        ("digits@20%", "digit"),
        ("epochs: 3", "epochs: 3.5"),
        ("epochs: 3", 'epochs: "3"'),
        ("epochs: 3", "epoch: 3"),
        ("mixup: 0.2", "mixup: -1"),
        ("nesterov: yes", "nesterov: 1"),
        ("base: fast", "base: faster"),
        ("temperature: 3", "temperature: 0"),
        ("temperature: 3", "tau: 3"),
        ("regime: mixed", "regime: blended"),
        ("output_loss: [mse, kl]", "output_loss: [mse, mae]"),
        ("  eed:", "  eeed:"),
        ("baseline: {}", "baseline: {exits: all}"),
        ("method: eed, arch", "methods: eed, arch"),
        ("cpu: 2", "cpu: 0"),
        ("cpu: 2", "cores: 2"),
        ("rule: asha", "rule: ahsa"),
        ("grace: 1", "grace: 0"),
        ("validation: 0.2", "validation: 1"),
        ("difference: 0.5", "difference: 200"),
        ("equivalent: 1", "equivalent: one"),
        ("tracking: [mlflow]", "tracking: [tensorboard]"),
        ("name: small", "name: ../small"),
        ("x-note", "note"),
    ],
)
def test_a_mistake_in_the_shape_is_refused_by_both(old, new, validator, tmp_path):
    assert SMALL.count(old) == 1
    path = tmp_path / "sweep.yaml"
    path.write_text(SMALL.replace(old, new))
    assert not validator.is_valid(Document(path).content)
    with pytest.raises(SpecError):
        read_sweep(path)


@pytest.mark.parametrize("seed", range(10))
def test_changed_files_are_refused_by_both_for_their_shape(seed, validator, tmp_path):
    """The schema refuses nothing that the reader accepts, and accepts no file that is refused for its shape alone."""
    draw, path = random.Random(seed), tmp_path / "sweep.yaml"
    refused = 0
    for _ in range(15):
        path.write_text(json.dumps(changed(yaml.safe_load(SMALL), draw)))
        told = refusal(path)
        fits = validator.is_valid(json.loads(path.read_text()))
        if told is None:
            assert fits, path.read_text()
        elif all(SHAPE.search(line) for line in told.splitlines()):
            assert not fits, (told, path.read_text())
            refused += 1
    assert refused


def refusal(path: Path) -> str | None:
    try:
        read_sweep(path)
    except SpecError as error:
        return str(error)
    return None


def changed(content: dict, draw: random.Random) -> dict:
    """Return a copy in which one value is another one, is missing, or has another key."""
    new = copy.deepcopy(content)
    part, key = draw.choice([*places(new)])
    match draw.randrange(3):
        case 0:
            part[key] = draw.choice(VALUES)
        case 1:
            del part[key]
        case 2 if isinstance(part, dict):
            part[draw.choice(["lr", "name", "exits", "rule", key + "s"])] = part.pop(key)
    return new


def places(part):
    pairs = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in list(pairs):
        yield part, key
        yield from places(value)


def test_keys_have_their_descriptions(validator):
    properties = validator.schema["properties"]
    assert properties.keys() == TEXTS.keys()
    recipe = properties["recipe"]["anyOf"][0]["anyOf"][0]["properties"]
    assert recipe["epochs"]["description"] == "Number of passes over the training set, at least 1."
    eed = properties["methods"]["anyOf"][0]["properties"]["eed"]["properties"]
    assert all("description" in eed[name] for name in ("exits", "temperature", "output_loss"))


def test_the_command_writes_the_schema(run, tmp_path):
    answer = run("schema")
    assert json.loads(answer.out) == sweep_schema()
    assert run("schema", "--out", tmp_path / "schema.json").status == 0
    assert (tmp_path / "schema.json").read_text(encoding="utf-8") == answer.out
