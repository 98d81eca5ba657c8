import pytest
from exeunt.specs import SpecError
from exeunt.sweep.planning.only import name, selected
from exeunt.sweep.planning.plan import make_plan


@pytest.fixture
def plan(read, good):
    return make_plan(read(good))


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["baseline/resnet8"], {"baseline/resnet8"}),
        (["eed/*"], {"eed/resnet8", "eed/resnet14"}),
        (["baseline/resnet8", "eed/resnet14"], {"baseline/resnet8", "eed/resnet14"}),
        (["*/resnet14"], {"baseline/resnet14", "eed/resnet14", "kd/resnet14", "baseline/resnet20"}),
        (["kd/resnet8"], {"kd/resnet8", "baseline/resnet8", "baseline/resnet20"}),
        (["k?/resnet[1]4"], {"kd/resnet14", "baseline/resnet14", "baseline/resnet20"}),
    ],
)
def test_what_matches_is_selected_in_the_order_of_the_plan_with_its_teachers(plan, patterns, names):
    chosen = selected(plan, patterns)
    assert {name(trial) for trial in chosen} == names
    assert chosen == [trial for trial in plan.trials if trial in chosen]
    keys = {trial.key for trial in chosen}
    assert all({*trial.depends_on} <= {*keys} for trial in chosen)


def test_a_teacher_that_is_needed_comes_with_its_seed_alone(plan):
    chosen = selected(plan, ["kd/resnet8"])
    teachers = [trial for trial in chosen if trial.configuration.method == "baseline"]
    assert {trial.seed for trial in teachers} == {0}
    assert len(teachers) == 2


def test_without_patterns_all_is_selected(plan):
    assert selected(plan, []) == list(plan.trials)


@pytest.mark.parametrize("pattern", ["eeed/*", "eed", "EED/*", ""])
def test_a_pattern_that_matches_nothing_is_an_error_that_says_what_there_is(plan, pattern):
    with pytest.raises(SpecError, match=r"matches no trial of the sweep; (the nearest is|choose from) '"):
        selected(plan, ["baseline/*", pattern])
