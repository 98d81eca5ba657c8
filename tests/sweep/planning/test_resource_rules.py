"""Resources of single methods and architectures."""

import pytest
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.resources import Resources

RULES = """\
resources:
  - {cpu: 2, memory: 2 GB}
  - {architecture: resnet14, gpu: 1}
  - {architecture: [resnet14, resnet20], method: [eed, baseline], cpu: 4, custom: {fast_disk: 1}}
"""


@pytest.fixture
def plan(read, good):
    return make_plan(read(good.replace("resources: {cpu: 1}\n", RULES)))


def resources_of(plan):
    """Return the resources of the trials of a plan by method and architecture."""
    return {
        (trial.configuration.method, trial.configuration.architecture): plan.sweep.resources.of(trial.configuration)
        for trial in plan.trials
    }


def test_a_trial_has_the_keys_of_all_rules_that_match_it_and_the_later_rule_wins(plan):
    found = resources_of(plan)
    small = Resources(cpu=2, memory=2_000_000_000)
    assert found["eed", "resnet8"] == found["baseline", "resnet8"] == small
    assert found["kd", "resnet14"] == small.replace(gpu=1)
    assert found["eed", "resnet14"] == small.replace(gpu=1, cpu=4, custom={"fast_disk": 1})


def test_a_teacher_that_is_only_trained_for_others_has_its_own(plan):
    assert resources_of(plan)["baseline", "resnet20"].custom == {"fast_disk": 1}


def test_resources_are_no_part_of_a_trial(plan, read, good):
    assert [trial.key for trial in plan.trials] == [trial.key for trial in make_plan(read(good)).trials]


def test_each_combination_is_listed_once(plan):
    each = plan.sweep.resources.each
    assert len(each) == len({one.text for one in each}) == 4


@pytest.mark.parametrize(
    ("written", "bundles"),
    [
        ({"cpu": 4, "gpu": 2}, [{"CPU": 4, "GPU": 2}]),
        ({"nodes": 2}, 2 * [{"CPU": 1, "GPU": 0}]),
        ({"nodes": 2, "gpu": 8, "cpu": 16}, 2 * [{"CPU": 8, "GPU": 4}]),
        ({"nodes": 3, "processes": 6, "memory": 10}, 3 * [{"CPU": 2, "GPU": 0, "memory": 10}]),
        (
            {"accelerator": "A100", "gpu": 1, "custom": {"disk": 0.5}},
            [{"CPU": 1, "GPU": 1, "accelerator_type:A100": 0.001, "disk": 0.5}],
        ),
    ],
)
def test_each_machine_reserves_an_equal_part_of_a_trial_and_all_of_its_memory(written, bundles):
    resources = Resources(**written)
    assert resources.bundles(resources.gpu or 0.0) == bundles
