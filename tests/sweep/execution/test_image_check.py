"""Check of all images before the first trial, in a process without PyTorch and in one with it."""

import json
import os
import pickle
import signal
import subprocess
import sys

import pytest
from exeunt.losses import Baseline, methods
from exeunt.models import ArchitectureSpec
from exeunt.specs import SpecError
from exeunt.sweep.execution import image_check
from exeunt.sweep.execution.image_check import images_read
from exeunt.sweep.planning.first_steps import first_steps
from exeunt.training import DatasetSpec, DataSource, Recipe, TrialSpec
from exeunt.training.plugins import Plugin, use

DIGITS = DatasetSpec(name="digits")

SCRIPT = """\
import json, sys
from pathlib import Path
from exeunt.specs import SpecError
from exeunt.sweep.execution.image_check import images_read
from exeunt.training import DatasetSpec, DataSource

told = []
with images_read([DatasetSpec(name=name) for name in {names}], DataSource(directory=Path({folder!r}))) as wait:
    try:
        wait(told.append)
    except SpecError as error:
        told.append([str(error), error.field])
print(json.dumps([told, "torch" in sys.modules]))
"""


def without_torch(names, folder):
    """Return what a process without PyTorch was told, and whether it has loaded PyTorch since."""
    script = SCRIPT.format(names=names, folder=str(folder))
    return json.loads(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout)


def here(names, folder):
    told = []
    with images_read([DatasetSpec(name=name) for name in names], DataSource(directory=folder)) as wait:
        try:
            wait(told.append)
        except SpecError as error:
            told.append([str(error), error.field])
    return told


@pytest.mark.slow
def test_a_driver_without_pytorch_is_told_the_same_and_stays_without(tmp_path):
    names = ["digits", "cifar100"]
    said, loaded = without_torch(names, tmp_path)
    assert said == here(names, tmp_path)
    assert said[:2] == ["the images of digits", "the images of cifar100"]
    assert "cifar100" in said[2][0]
    assert not loaded


@pytest.fixture
def reader(monkeypatch):
    """Context of the check in another process, and that process."""
    started = []

    class Watched(subprocess.Popen):
        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings)
            started.append(self)

    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(image_check.subprocess, "Popen", Watched)
    with images_read([DIGITS], DataSource()) as wait:
        yield wait, started[0]
    assert started[0].returncode is not None


@pytest.mark.slow
def test_a_reader_that_dies_is_one_message(reader):
    wait, process = reader
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(SpecError, match="the process that read the images of digits died"):
        wait(lambda what: None)  # noqa: ARG005


@pytest.mark.slow
def test_a_reader_ends_with_the_process_that_started_it():
    command = [sys.executable, "-m", "exeunt.sweep.execution.image_check"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        pickle.dump(([DIGITS] * 10**5, DataSource(), [], ()), reader.stdin)
        reader.stdin.flush()
        assert pickle.load(reader.stdout) is None, "the reader reads"
        reader.stdin.close()  # as when the other process ends
        try:
            assert reader.wait(timeout=10) == 1
        finally:
            reader.kill()


def bad_step(line):
    """First step with a loss that runs a line before it ends."""
    source = f"""\
import os, time
from dataclasses import dataclass
from typing import ClassVar
from exeunt.losses import Method, method
from exeunt.losses.functional import cross_entropy_sum

@method("own")
@dataclass(frozen=True, kw_only=True)
class Own(Method):
    paper: ClassVar = "none"

    def loss(self, inputs, learned):
        {line}
        return {{"own": cross_entropy_sum(inputs.logits, inputs.labels)}}
"""
    plugins = (Plugin(name="own.py", source=source),)
    use(plugins)
    trial = TrialSpec(
        dataset=DatasetSpec(name="digits"),
        architecture=ArchitectureSpec(name="resnet8"),
        method=methods["own"](),
        recipe=Recipe(epochs=2, crop="none", flip=False, milestones=()),
    )
    (step,) = first_steps([trial], plugins, only_foreign=True)
    use()
    return step


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("pass", ""),
        ("inputs.label", "own.py:13: the loss of method 'own' raised AttributeError"),
        ("raise SystemExit", "own.py:13: the loss of method 'own' called sys.exit()"),
        ("os._exit(3)", "the process that tried a first training step of own on resnet8 died"),
        pytest.param(
            *("time.sleep(600)", "a first training step of own on resnet8 took more than 20 s"),
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_a_first_step_in_another_process_is_one_message(line, part, monkeypatch):
    monkeypatch.setattr(image_check, "STEP_LIMIT_S", 20.0)
    told = []
    with images_read([DIGITS], DataSource(), [bad_step(line)]) as wait:
        if part:
            with pytest.raises(SpecError) as caught:
                wait(told.append)
            assert part in str(caught.value)
        else:
            wait(told.append)
    assert told == ["the images of digits", "a first training step of own on resnet8"]


def test_only_code_from_elsewhere_is_tried_before_a_sweep():
    def trial(architecture, **method):
        return TrialSpec(
            dataset=DatasetSpec(name="digits"),
            architecture=ArchitectureSpec(name=architecture),
            method=Baseline(**method),
        )

    own = trial("resnet8")
    assert first_steps([own], (), only_foreign=True) == []
    assert [step.label for step in first_steps([own, own.replace(seed=1)], ())] == ["baseline on resnet8"]
