"""Machines of a cluster and the resources of trials on them."""

import pytest
from exeunt.specs import SpecError
from exeunt.sweep.execution.placement import capacity, gpus_per_trial
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.resources import Resources

SMALL = {"CPU": 4, "memory": 8e9}
LARGE = {"CPU": 8, "memory": 64e9, "GPU": 4, "accelerator_type:A100": 1, "fast_disk": 1}
OTHER = {"CPU": 8, "memory": 64e9, "GPU": 2, "accelerator_type:H200": 1}


@pytest.fixture
def placed(read, good):
    """Return a function that places the trials of a file with these resources on machines."""

    def placed(written, nodes):
        said = []
        plan = make_plan(read(good.replace("resources: {cpu: 1}", f"resources: {written}")))
        gpus = gpus_per_trial(plan.sweep.resources, (trial.configuration for trial in plan.trials), nodes, said.append)
        return gpus, said

    return placed


@pytest.mark.parametrize(
    ("written", "place", "problem"),
    [
        ("{cpu: 9}", "resources.cpu", "a trial requires 9, but the largest node has 8; set at most 8."),
        ("{gpu: 8}", "resources.gpu", "a trial requires 8, but the largest node has 4; set at most 4."),
        ("{memory: 100 GB}", "resources.memory", "a trial requires 100 GB, but the largest node has 64 GB;"),
        (
            "{accelerator: B200}",
            "resources.accelerator",
            "requires B200 on 1 machine, but the machines have A100,",
        ),
        (
            "{custom: {slow_disk: 1}}",
            "resources.custom",
            "requires slow_disk: 1, but no machine has it; start Ray",
        ),
        ("{custom: {fast_disk: 2}}", "resources.custom", "requires fast_disk: 2, but the largest amount is 1;"),
        ("{nodes: 4}", "resources.nodes", "a trial requires 4 machines, but the cluster has 3; set at most 3"),
        ("{nodes: 3, cpu: 24}", "resources.cpu", "a trial requires 8 on each of 3 nodes, but only 2 of the nodes have"),
        ("{nodes: 2, gpu: 8}", "resources.gpu", "a trial requires 4 on each of 2 nodes, but only 1 of the nodes"),
        ("{gpu: 1, accelerator: H200, custom: {fast_disk: 1}}", "resources", "too few machines have all"),
    ],
)
def test_what_no_machine_has_is_said_with_file_and_line(placed, written, place, problem):
    with pytest.raises(SpecError) as error:
        placed(written, [SMALL, LARGE, OTHER])
    _, _, told = str(error.value).partition(".yaml:")
    assert told.startswith(f"6: {place}: ")
    assert problem in told


def test_the_line_is_that_of_the_rule(placed):
    with pytest.raises(SpecError, match=r"\.yaml:8: resources\[1\]\.gpu: a trial requires 8, but"):
        placed("\n  - {memory: 1 GB}\n  - {method: eed, gpu: 8}\n  - {method: kd, gpu: 1}", [LARGE])


def test_gpus_that_the_file_does_not_set_are_those_of_machines_with_the_rest(placed):
    gpus, said = placed("{custom: {fast_disk: 1}}", [OTHER, LARGE])
    assert set(gpus.values()) == {"auto"}
    gpus, said = placed("{nodes: 2, processes: 4}", [OTHER, LARGE, SMALL])
    assert set(gpus.values()) == {4.0}
    assert said == [
        "6 GPUs: one for each of a trial's 4 processes; machines without a GPU train no trial. To change this, set "
        "resources.gpu."
    ]
    assert set(placed("{nodes: 3, processes: 6}", [OTHER, LARGE, SMALL])[0].values()) == {0.0}


def test_capacity_counts_the_trials_on_all_machines():
    assert capacity(Resources(cpu=2), 0.0, [SMALL, LARGE]) == 6
    assert capacity(Resources(cpu=2, gpu=1), 1.0, [SMALL, LARGE, OTHER]) == 6
    assert capacity(Resources(cpu=4, nodes=2), 0.0, [SMALL, LARGE]) == 3
    assert capacity(Resources(memory=32_000_000_000), 0.0, [SMALL, LARGE]) == 2
