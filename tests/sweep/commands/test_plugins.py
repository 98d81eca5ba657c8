"""Tests of custom methods and architectures through the command line."""

import json
import re
import subprocess
import sys

import pytest
from exeunt.store import Store, digest, keep_plugins
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.training import TrialSpec, build_student
from exeunt.training.checkpoints import serialized
from exeunt.training.plugins import read_plugins, use

from ...command_line import Answer

METHOD = """\
from dataclasses import dataclass
from typing import ClassVar

from exeunt.losses import Loss, Method, method
from exeunt.losses.functional import cross_entropy_sum
from exeunt.specs import Positive


class OwnLoss(Loss["Own"]):
    def forward(self, inputs):
        return {"own": self.settings.strength * cross_entropy_sum(inputs.logits, inputs.labels)}


@method("own")
@dataclass(frozen=True, kw_only=True)
class Own(Method):
    \"\"\"Custom method.\"\"\"

    paper: ClassVar = "none"
    loss: ClassVar = OwnLoss
    exits: ClassVar = "required"
    strength: Positive = 1.0
"""
ARCHITECTURE = """\
from functools import partial

from exeunt.models import architectures
from exeunt.models.resnet import BasicBlock, resnet

architectures.register("own8")(partial(resnet, BasicBlock, (1, 1, 1), (8, 16, 32), stem_width=8))
"""
SWEEP = """\
name: mine
dataset: digits
architectures: [own8]
seeds: [0]
recipe: {base: fast, epochs: 1, batch_size: 512, crop: none, flip: false}
methods:
  baseline: {}
  own: {strength: [1, 2]}
"""


@pytest.fixture
def files(tmp_path):
    """Arguments that name a sweep file and its two plugins."""
    (tmp_path / "method.py").write_text(METHOD)
    (tmp_path / "network.py").write_text(ARCHITECTURE)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    return tmp_path / "sweep.yaml", "--plugin", tmp_path / "method.py", "--plugin", tmp_path / "network.py"


@pytest.mark.slow
def test_a_plan_and_lists_know_what_plugins_have(run, files, tmp_path):
    storage = "--storage", tmp_path / "runs"
    status, out, err = run("plan", *files, *storage, "--json")
    assert (status, err) == (0, "")
    assert '"own8"' in out
    status, out, _ = run("list", "methods", *files[1:3])
    assert status == 0
    assert re.search(r"own +│ Custom method\.", out)
    assert "strength: 1.0   (0 < strength)" in out
    assert "own8" in run("list", "architectures", *files[3:])[1]
    status, out, _ = run("describe", "own8", *files[3:])
    assert status == 0
    assert out.startswith("own8 at 3x32x32")


def test_without_its_plugin_a_name_is_unknown(run, files):
    status, out, err = run("plan", files[0])
    assert (status, out) == (2, "")
    assert f"{files[0]}:8: methods.own: unknown method 'own'" in err
    assert run("describe", "own8")[0] == 2


@pytest.mark.parametrize("command", ["plan", "sweep", "search", "submit"])
def test_a_mistake_in_a_plugin_is_one_message_and_status_2_and_starts_nothing(command, run, files, tmp_path):
    (tmp_path / "method.py").write_text("def broken(:\n")
    status, out, err = run(command, *files, "--storage", tmp_path / "runs")
    assert (status, out, err) == (2, "", "exeunt: method.py:1: SyntaxError: invalid syntax.\n")
    assert not (tmp_path / "runs").exists()
    (tmp_path / "method.py").unlink()
    _, _, err = run(command, *files, "--storage", tmp_path / "runs")
    missing = f"exeunt: --plugin {tmp_path / 'method.py'}: cannot be read: No such file or directory;"
    assert err == f"{missing} the nearest is 'network.py'.\n"


@pytest.mark.parametrize("command", [("list", "methods"), ("describe", "resnet8")])
def test_a_mistake_in_a_plugin_is_one_message_where_no_sweep_is_read(command, run, tmp_path):
    (tmp_path / "method.py").write_text("undefined\n")
    status, out, err = run(*command, "--plugin", tmp_path / "method.py")
    assert (status, out) == (2, "")
    assert err == "exeunt: method.py:1: NameError: name 'undefined' is not defined.\n"


@pytest.mark.slow
def test_a_sweep_trains_them_and_is_spoken_of_by_name_when_the_files_are_gone(exeunt, run, files, tmp_path):
    storage = "--storage", tmp_path / "runs"
    answer = exeunt("sweep", *files, *storage)
    assert answer.status == 0, answer.out + answer.err
    assert "3 done" in answer.out
    for file in tmp_path.glob("*.py"):
        file.unlink()

    specs = {path.parent.name: json.loads(path.read_text()) for path in (tmp_path / "runs").glob("trials/*/spec.json")}
    own = {key: spec for key, spec in specs.items() if spec["method"]["name"] == "own"}
    assert sorted(len(spec["plugins"]) for spec in specs.values()) == [1, 2, 2]
    for key in own:
        result = json.loads((tmp_path / "runs" / "trials" / key / "result.json").read_text())
        assert all(sha256 in result["environment"]["plugins"] for sha256 in own[key]["plugins"])

    assert "3 done" in run("status", "mine", *storage)[1]
    status, out, err = run("verify", *storage)
    assert (status, err) == (0, "")
    assert "3 trials" in out
    assert "no problems" in out
    assert "nothing to remove" in run("clean", "--dry-run", *storage)[1]
    status, out, err = run("export", next(iter(own)), "--out", tmp_path / "network.pt2", *storage)
    assert status == 0, err
    assert "own, own8, seed 0" in out


@pytest.fixture
def of_a_colleague(files, tmp_path):
    """Storage with a completed trial of a plugin, as if a colleague had trained it, and a function to edit plugins."""
    store = Store(tmp_path / "runs")
    plan = make_plan(read_sweep(files[0], read_plugins(files[2::2])))
    store.save_sweep(plan)
    trial = next(trial for trial in plan.trials if trial.configuration.method == "own")
    directory = store.trial(trial.key)
    directory.write_spec(trial.spec)
    directory.write_weights(serialized(build_student(TrialSpec.from_dict(trial.spec)).state_dict()))
    directory.write_result(
        {"state": "done", "seconds": 1.0, "metrics": {}, "environment": {}, "weights": digest(directory.weights())}
    )
    keep_plugins(directory.directory, plan.plugins)
    use()
    for file in files[2::2]:
        file.unlink()
    evil = f"open({str(tmp_path / 'executed')!r}, 'w').close()\n"

    def edit(name):
        for folder in ("sweeps/mine", f"trials/{trial.key}"):
            with (tmp_path / "runs" / folder / "plugins" / name).open("a") as file:
                file.write(evil)

    return trial.key, edit


@pytest.mark.parametrize("name", ["method.py", "network.py"])
def test_a_plugin_that_was_edited_in_the_storage_is_not_run_by_any_command(name, of_a_colleague, run, tmp_path):
    key, edit = of_a_colleague
    storage = "--storage", tmp_path / "runs"
    edit(name)
    status, out, err = run("export", key, "--format", "safetensors", "--out", tmp_path / "x.safetensors", *storage)
    assert (status, out) == (2, "")
    assert "was changed after the training, so it is not run. Restore the file" in err
    for words in (["status", "mine"], ["verify"], ["sync", "mine"], ["clean", "--dry-run"], ["migrate"]):
        run(*words, *storage)
    assert not (tmp_path / "executed").exists()


def test_a_plugin_that_was_added_in_the_storage_is_not_run(of_a_colleague, run, tmp_path):
    key, edit = of_a_colleague
    edit("added.py")
    storage = "--storage", tmp_path / "runs"
    status, _, err = run("export", key, "--format", "safetensors", "--out", tmp_path / "x.safetensors", *storage)
    assert (status, err) == (0, "")
    assert not (tmp_path / "executed").exists()


@pytest.fixture
def package(tmp_path):
    """Directory with an installed package that names a module as an entry point."""
    folder = tmp_path / "site"
    (folder / "own_package").mkdir(parents=True)
    (folder / "own_package" / "__init__.py").touch()
    (folder / "own_package" / "methods.py").write_text(METHOD)
    (folder / "own_package-1.2.dist-info").mkdir()
    (folder / "own_package-1.2.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: own-package\nVersion: 1.2\n"
    )
    (folder / "own_package-1.2.dist-info" / "entry_points.txt").write_text(
        "[exeunt.plugins]\nown = own_package.methods\n"
    )
    return folder


def with_package(folder, *words):
    environment = {"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    command = [sys.executable, "-m", "exeunt.sweep", *map(str, words)]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300, env=environment)
    return Answer(ran.returncode, ran.stdout, ran.stderr)


@pytest.mark.slow
@pytest.mark.nightly
def test_an_installed_package_brings_methods_without_an_option(package, tmp_path):
    (tmp_path / "sweep.yaml").write_text(SWEEP.replace("own8", "resnet8"))
    answer = with_package(package, "sweep", tmp_path / "sweep.yaml", "--storage", tmp_path / "runs")
    assert answer.status == 0, answer.out + answer.err
    results = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("trials/*/result.json")]
    assert [result["environment"]["plugins"] for result in results] == 3 * ["own-package 1.2"]
    specs = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("trials/*/spec.json")]
    assert all("plugins" not in spec for spec in specs), "a package has a version, a file has not"


@pytest.mark.slow
def test_a_package_that_cannot_be_imported_is_one_message(package):
    (package / "own_package" / "methods.py").write_text("import absent_module\n")
    answer = with_package(package, "list", "methods")
    assert (answer.status, answer.out) == (2, "")
    assert answer.err == (
        "exeunt: the entry point 'own' of own-package 1.2 names own_package.methods, which cannot be imported: "
        "ModuleNotFoundError: No module named 'absent_module'.\n"
    )


@pytest.mark.slow
def test_a_mistake_in_a_package_is_one_message_with_its_file_and_line(package, tmp_path):
    file = package / "own_package" / "methods.py"
    file.write_text(METHOD.replace("inputs.labels", "inputs.label"))
    (tmp_path / "sweep.yaml").write_text(SWEEP.replace("own8", "resnet8"))
    answer = with_package(package, "plan", tmp_path / "sweep.yaml", "--storage", tmp_path / "runs", "--try")
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.startswith(f"exeunt: {file}:11: the loss of method 'own' raised AttributeError")
