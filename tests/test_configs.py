"""The sweep files in `configs/`: the real program plans them, and its numbers are those in their comments."""

import re
from pathlib import Path

import pytest
from exeunt.models.placement import architecture_layout
from exeunt.store import Store
from exeunt.sweep.planning.cost import Costs
from exeunt.sweep.planning.estimate import Estimate, estimate
from exeunt.sweep.planning.plan import SweepPlan, make_plan
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.planning.throughput import AssumedPace
from exeunt.sweep.search import search_plan
from exeunt.training import TrialSpec

CONFIGS = Path(__file__).parents[1] / "configs"
FILES = sorted(CONFIGS.rglob("*.yaml"))
THROUGHPUT = 2790 * 3 * 4_089_184_256
"""Multiply-adds a second of one H100 that trains resnet50 on images of 224x224 in half precision.

Images a second are from lambdal/deeplearning-benchmark at 079f30d, pytorch/pytorch-train-throughput-v2-fp16.csv. Each
image counts as three passes of what `exeunt describe torchvision/resnet50 --size 224 --classes 1000` prints.
"""
DEVICES = 8


def comment(file: Path) -> str:
    """Return the lines above the first key as one line."""
    lines = file.read_text(encoding="utf-8").partition("\nname:")[0].splitlines()
    assert all(line.startswith("# ") for line in lines)
    return " ".join(line.removeprefix("# ") for line in lines)


def planned_and_counted(file: Path, folder: Path, throughput: float = THROUGHPUT) -> tuple[SweepPlan, Estimate]:
    sweep, store = read_sweep(file), Store(folder)
    plan = make_plan(sweep) if sweep.search is None else search_plan(sweep, store)
    return plan, estimate(plan, store, AssumedPace(throughput))


def name(file: Path) -> str:
    return str(file.relative_to(CONFIGS))


@pytest.fixture(params=FILES, ids=name)
def file(request) -> Path:
    return request.param


def test_a_file_says_how_many_trials_it_has(file, tmp_path):
    _, numbers = planned_and_counted(file, tmp_path)
    (said,) = re.findall(r"(\d+) trials", comment(file))
    assert int(said) == numbers.total.trials


@pytest.mark.parametrize("file", [file for file in FILES if read_sweep(file).search is None], indirect=True, ids=name)
def test_a_file_asks_for_nothing_twice_but_for_losses_of_weight_0(file, tmp_path):
    _, numbers = planned_and_counted(file, tmp_path)
    assert numbers.asked - numbers.results == (3 * 3 if file.stem == "ablation-weights" else 0)


def test_the_students_of_a_file_share_their_teachers(file):
    plan = make_plan(read_sweep(file))
    specs = [plan.specs[trial.configuration.id] for trial in plan.trials]
    teachers = [spec.teacher for spec in specs if isinstance(spec.teacher, TrialSpec)]
    assert len({teacher.key for teacher in teachers}) == len({teacher.architecture for teacher in teachers})
    assert {teacher.key for teacher in teachers} <= {trial.key for trial in plan.trials}


@pytest.mark.parametrize("file", [file for file in FILES if "H200" in comment(file)], indirect=True, ids=name)
def test_a_file_for_accelerators_says_what_it_costs_on_one_and_on_eight(file, tmp_path):
    said = comment(file)
    sizes = {"P": 1e15, "E": 1e18}
    (found,) = re.findall(
        rf"([\d.]+) ([PE]) multiply-adds: about ([\d.]+) hours of one H200-class GPU, ([\d.]+) of {DEVICES}", said
    )
    multiply_adds, (one, eight) = float(found[0]) * sizes[found[1]], map(float, found[2:])
    (command,) = re.findall(r"`exeunt plan configs/(\S+) --throughput (\S+)`", said)
    assert command[0] == name(file)
    assert float(command[1]) == pytest.approx(THROUGHPUT, rel=0.01)
    plan, numbers = planned_and_counted(file, tmp_path, float(command[1]))
    assert multiply_adds == pytest.approx(numbers.total.multiply_adds, rel=0.005)
    assert one == pytest.approx(numbers.total.hours, rel=0.05)
    assert eight == pytest.approx(numbers.total.hours / DEVICES, rel=0.05)
    # No trial with its teacher may take longer than an eighth of the work, so that 8 GPUs share it evenly.
    costs = Costs()
    longest = max(costs.until_done(plan.specs[trial.configuration.id]) for trial in plan.trials)
    assert longest < numbers.total.multiply_adds / DEVICES


def test_the_throughput_is_counted_with_the_multiply_adds_of_a_plan():
    layout = architecture_layout("torchvision/resnet50", (3, 224, 224), 1000)
    assert 2790 * 3 * layout.cost.whole == THROUGHPUT


@pytest.mark.parametrize("file", FILES, ids=name)
def test_no_file_means_something_else_than_it_says(file):
    assert read_sweep(file).warnings == ()


def test_the_papers_files_say_what_they_cost_on_accelerators():
    papers = [*(CONFIGS / "paper").iterdir(), CONFIGS / "imagenet.yaml"]
    assert all("H200" in comment(file) for file in papers)


def test_the_ablations_share_the_papers_setting_with_the_main_comparison():
    main = {trial.key for trial in make_plan(read_sweep(CONFIGS / "paper" / "main.yaml")).trials}
    ablations = sorted((CONFIGS / "paper").glob("ablation-*.yaml"))
    assert len(ablations) == 5
    for file in ablations:
        shared = [trial for trial in make_plan(read_sweep(file)).trials if trial.key in main]
        assert {trial.configuration.method for trial in shared} == {"baseline", "eed"}
