"""Device of each trial, by Ray's own account of GPUs that are declared and do not exist."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from exeunt.store import TrialFiles
from exeunt.sweep.execution import distributed_launch
from exeunt.sweep.execution.distributed_launch import train_together
from exeunt.sweep.planning import step_timing
from exeunt.sweep.planning.plan import make_plan
from exeunt.training import DataSource

from .together import trial

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("declared_gpus.py")
RESOURCES = ("{gpu: 0}", "{cpu: 1}", "{gpu: auto}", "{gpu: 2}")


@pytest.fixture(scope="module")
def found(made_once):
    """What each sweep printed and gave to its trials."""

    def run(folder):
        subprocess.run([sys.executable, SCRIPT, folder, *RESOURCES], capture_output=True, check=True, timeout=800)

    return json.loads((made_once("declared-gpus", run) / "found.json").read_text())


def given(sweep):
    return [
        (seen["device"], seen["share"], len(seen["visible"].split(","))) for seen in sweep["seen"] if "device" in seen
    ]


@pytest.mark.parametrize(
    ("resources", "device", "share", "visible"),
    [
        ("{gpu: 0}", "cpu", 0, 2),  # Ray hides no GPU
        ("{cpu: 1}", "cuda", 0.25, 1),
        ("{gpu: auto}", "cuda", 0.25, 1),
        ("{gpu: 2}", "cuda", 2, 2),
    ],
)
def test_a_trial_trains_on_the_device_that_ray_gave_it(found, resources, device, share, visible):
    assert given(found[resources]) == [(device, share, visible)]
    assert found[resources]["status"] == 0


def test_gpus_that_the_file_does_not_mention_are_used_and_named(found):
    line = "2 GPUs: trials share them. To change this, set resources.gpu."
    assert found["{cpu: 1}"]["out"].count(line) == 1
    assert not any("2 GPUs" in found[said]["out"] for said in RESOURCES if "gpu" in said)


@pytest.mark.parametrize("resources", ["{cpu: 1}", "{gpu: auto}"])
def test_a_probe_has_a_whole_gpu_and_the_trial_the_measured_share(found, resources):
    assert [(seen.get("probe"), seen["share"]) for seen in found[resources]["seen"]] == [(True, 1), (None, 0.25)]
    assert "Each trial gets 0.25 of a GPU, after a probe of 1 network." in found[resources]["out"]


def test_out_of_memory_on_a_shared_gpu_is_retried_with_more_and_final_alone(found):
    sweep = found["out of memory"]
    assert [share for _, share, _ in given(sweep)] == 2 * [0.3, 0.6, 1]
    said = sweep["out"].splitlines()
    assert sum("out of memory on a shared GPU; share raised to 0.6; next attempt in 2 s" in line for line in said) == 2
    assert sum("out of memory on a shared GPU; share raised to 1; next attempt in 2 s" in line for line in said) == 2
    assert [line.partition(" (")[0] for line in said if line.startswith("FAILED")] == [
        "FAILED baseline, resnet8, digits, seed 101: out of memory with batch_size 128"
    ]
    assert "1 done, 0 running, 0 waiting, 1 failed after" in sweep["out"]


def test_a_gpu_that_pytorch_does_not_find_is_one_message(found):
    assert found["no GPU"]["status"] == 2
    assert found["no GPU"]["err"].splitlines()[-1] == (
        "exeunt: resources.gpu: no network could be measured on a GPU: PyTorch finds no GPU on a machine where Ray "
        "reports one. Set the number of GPUs of a trial, or 0 for the CPU."
    )


def test_a_probe_waits_for_a_free_gpu_only_for_some_time(found):
    assert found["GPUs in use"]["status"] == 2
    assert "no network could be measured on a GPU: no GPU was free for 1 s" in found["GPUs in use"]["err"]


def tell_device(what, meeting, rank, arguments, speaker):  # noqa: ARG001
    (arguments["files"].directory.path / str(rank)).write_text(arguments["device"])
    speaker.send(("result", {}))


@pytest.mark.parametrize(("device", "devices"), [("cpu", ["cpu", "cpu"]), ("cuda", ["cuda:0", "cuda:1"])])
def test_each_process_of_a_trial_has_a_gpu_of_its_own(tmp_path, monkeypatch, device, devices):
    monkeypatch.setattr(distributed_launch, "_take_part", tell_device)
    how = {"processes": 2, "device": device, "on_epoch": print, "stop": lambda: False}
    train_together(trial(), TrialFiles(tmp_path), **how)
    assert [(tmp_path / str(rank)).read_text() for rank in range(2)] == devices


@pytest.mark.parametrize(
    ("resources", "device"),
    [("{cpu: 1}", "auto"), ("{gpu: 0}", "cpu"), ("{gpu: 0.5}", "auto"), ("{gpu: auto}", "auto")],
)
def test_a_plan_is_measured_on_the_device_of_its_trials(read, good, monkeypatch, resources, device):
    chosen, choose = [], step_timing.choose_device
    monkeypatch.setattr(step_timing, "choose_device", lambda name: chosen.append(name) or choose("cpu"))
    plan = make_plan(read(good.replace("{cpu: 1}", resources)))
    step_timing.measure(plan, DataSource(), lambda trials, number: [])  # noqa: ARG005
    assert chosen == [device]
