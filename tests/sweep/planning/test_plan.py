from collections import Counter

import pytest
import yaml
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.yaml_document import DocumentError
from exeunt.training import TrialSpec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .searches import FILE

ORDERS = ["file", "breadth-first", "cheap-first"]
HEAD = "name: x\ndataset: digits\narchitectures: [resnet8]\nseeds: [0, 1]\nrecipe: fast\nmethods:\n"


@pytest.fixture
def plan(read):
    """Function that plans a sweep with methods given as lines."""
    return lambda *methods, head=HEAD: make_plan(read(head + "".join(f"  {line}\n" for line in methods))).trials


def spec_of(trial):
    return TrialSpec.from_dict(trial.spec)


def described(trials):
    return [(t.configuration.method, t.configuration.architecture, t.seed, t.role) for t in trials]


def test_placements_that_mean_the_same_are_trained_once(plan):
    stages = len(plan("eed: {exits: [all, '1', '2', '1,2']}")) // 2
    assert len(plan("eed: {exits: [all, '1,2']}")) == 2
    assert stages == 3


def test_exits_keep_the_words_that_the_file_asks_for_them_with_first(plan):
    trials = plan("baseline:", "kd: {teacher: self}", "eed: {exits: ['1,2', all, 2, '50%']}")
    of_eed = {
        trial.configuration.exits: spec_of(trial).exits.placement
        for trial in trials
        if trial.configuration.method == "eed"
    }
    assert of_eed == {"1,2": "all", "2": "2", "50%": "1"}
    assert {trial.configuration.exits for trial in trials if trial.configuration.method != "eed"} == {"none"}


def test_trials_are_named_by_what_varies_in_the_file_with_the_shortest_numbers(plan):
    trials = plan("baseline:", "eed: {exits: '1', head: [conv, linear], output_loss: kl}")
    assert [str(trial) for trial in trials if trial.seed == 0] == [
        "baseline, resnet8, digits, seed 0",
        "eed head=conv, resnet8, digits, seed 0",
        "eed head=linear, resnet8, digits, seed 0",
    ]
    head = HEAD.replace("recipe: fast", "recipe: {epochs: [3, 9]}")
    trials = plan(
        "kd: {teacher: self}", "eed: {exits: [all, '50%'], output_loss: kl, temperature: [1.0, 2.5]}", head=head
    )
    assert [str(trial) for trial in trials if trial.seed == 0 and trial.role == "result"] == [
        f"{label}, resnet8, epochs={epochs}, digits, seed 0"
        for epochs in (3, 9)
        for label in (
            "kd",
            "eed exits=all, temperature=1",
            "eed exits=all, temperature=2.5",
            "eed exits=50%, temperature=1",
            "eed exits=50%, temperature=2.5",
        )
    ]


def test_an_axis_that_has_no_effect_trains_nothing_more(plan):
    assert len(plan("eed: {output_loss: mse, temperature: [1, 2, 3]}")) == 2
    assert len(plan("eed: {output_loss: kl, temperature: [1, 2, 3]}")) == 6
    assert len(plan("eed: {output_loss: [mse, kl], temperature: [1, 2, 3]}")) == 8
    assert len(plan("eed: {output_loss: kl, temperature: [3, 3.0]}")) == 2


def test_a_teacher_is_trained_once_and_before_its_first_student(plan):
    in_file_order = HEAD.replace("name: x", "name: x\norder: file")
    assert described(plan("eed:", "kd: {teacher: resnet14, temperature: [1, 2]}", head=in_file_order)) == [
        ("eed", "resnet8", 0, "result"),
        ("eed", "resnet8", 1, "result"),
        ("baseline", "resnet14", 0, "teacher"),
        ("kd", "resnet8", 0, "result"),
        ("kd", "resnet8", 1, "result"),
        ("kd", "resnet8", 0, "result"),
        ("kd", "resnet8", 1, "result"),
    ]


@pytest.mark.parametrize("methods", [("baseline:", "kd: {teacher: self}"), ("kd: {teacher: self}", "baseline:")])
def test_a_teacher_that_is_a_row_of_the_table_too_is_a_result(plan, methods):
    trials = plan(*methods)
    assert Counter(described(trials)) == Counter(
        (method, "resnet8", seed, "result") for method in ("baseline", "kd") for seed in (0, 1)
    )
    teachers = {key for trial in trials if trial.configuration.method == "kd" for key in trial.depends_on}
    assert teachers == {t.key for t in trials if t.configuration.method == "baseline" and t.seed == 0}


def test_students_of_every_seed_have_the_teacher_of_the_seed_asked_for(plan):
    trials = plan("baseline:", "kd: {teacher: self, teacher_seed: [1, 7]}")
    assert [trial.seed for trial in trials if trial.role == "teacher"] == [7]
    taught = Counter((t.seed, t.configuration.teacher["seed"]) for t in trials if t.configuration.teacher)
    assert taught == {(0, 1): 1, (0, 7): 1, (1, 1): 1, (1, 7): 1}


def test_a_file_with_every_axis_plans_what_a_hand_counts(read):
    sweep = read(
        """
name: everything
dataset: [digits]
architectures: [resnet8, resnet14]
seeds: [0, 1, 2]
recipe: [fast, {base: paper, epochs: [1, 2]}]
methods:
  baseline: {}
  kd: {teacher: [self, resnet20], temperature: [2, 4], teacher_seed: [0, 7]}
  final_target: {}
  eed: {exits: [all, "1,2"], output_loss: [mse, kl], temperature: [1, 3]}
"""
    )
    combinations = 2 * 3  # architectures, recipes
    assert len(sweep.trials) == combinations * 3 * (1 + 8 + 1 + 8)
    trials = make_plan(sweep).trials
    asked = combinations * 3 * (1 + 8 + 1 + 3)  # duplicates: both placements, and both temperatures with mse
    teachers = combinations + 3 * 2  # self with seed 7; resnet20 with each recipe and teacher seed
    assert Counter(trial.role for trial in trials) == {"result": asked, "teacher": teachers}


@pytest.mark.parametrize("order", ORDERS)
def test_every_trial_stands_after_its_teacher_and_has_a_key_of_its_own(read, good, order):
    trials = make_plan(read(good + f"order: {order}\n")).trials
    keys = [trial.key for trial in trials]
    assert len(set(keys)) == len(keys)
    assert sorted(trial.order for trial in trials) == list(range(len(trials)))
    assert all({*trial.depends_on} <= {*keys[: keys.index(trial.key)]} for trial in trials)
    assert set(keys) == {trial.key for trial in make_plan(read(good)).trials}


def test_breadth_first_trains_one_seed_of_everything_before_the_second_seed(read, good):
    trials = make_plan(read(good.replace("[0, 1]", "[7, 3, 5]"))).trials
    results = [trial.seed for trial in trials if trial.role == "result"]
    assert results == sorted(results, key=[7, 3, 5].index)
    assert [trial.seed_index for trial in trials if trial.role == "result"] == [
        [7, 3, 5].index(seed) for seed in results
    ]
    assert {trial.configuration.seeds for trial in trials if trial.role == "result"} == {3}


def test_a_seed_is_taken_early_only_where_a_student_needs_it(plan):
    trials = plan("baseline:", "kd: {teacher: self, teacher_seed: 2}", head=HEAD.replace("[0, 1]", "[0, 1, 2]"))
    assert [(trial.configuration.method, trial.seed) for trial in trials] == [
        *(("baseline", 0), ("baseline", 2), ("kd", 0)),
        *(("baseline", 1), ("kd", 1), ("kd", 2)),
    ]


def test_cheap_first_trains_what_costs_least_until_it_is_done(plan):
    head = HEAD.replace("[resnet8]", "[resnet20, resnet8]").replace("recipe: fast", "recipe: {epochs: [9, 3]}")
    trials = plan("eed:", "baseline:", "kd: {teacher: resnet14}", head="order: cheap-first\n" + head)
    rows = list(
        dict.fromkeys((t.configuration.architecture, t.configuration.method, t.configuration.epochs) for t in trials)
    )
    # Multiply-adds at 8x8 with a channel, forward: resnet8 0.8 M, resnet14 1.6 M, resnet20 2.5 M.
    assert rows[:2] == [("resnet8", "baseline", 3), ("resnet8", "eed", 3)]
    assert [(name, epochs) for name, method, epochs in rows if method == "baseline"] == [
        *(("resnet8", 3), ("resnet14", 3), ("resnet8", 9), ("resnet20", 3), ("resnet14", 9), ("resnet20", 9))
    ]
    # 3 x 0.8 M for the student and 1.6 M for the teacher's forward pass, after 3 x 1.6 M to train the teacher.
    assert rows.index(("resnet8", "baseline", 9)) < rows.index(("resnet8", "kd", 3))
    assert rows[-1] == ("resnet20", "kd", 9)


def rows_of(trials):
    return {(t.configuration.method, t.configuration.architecture, t.seed) for t in trials if t.role == "result"}


def test_a_trial_is_left_out_that_has_a_value_of_every_field_of_a_rule(plan):
    head = HEAD.replace("[resnet8]", "[resnet8, resnet14]")
    rules = "exclude: [{architecture: resnet14, method: [kd, eed]}, {method: baseline, seed: 1}]\n"
    trials = plan("baseline:", "kd: {teacher: self}", "eed: {exits: [all, '1']}", head=rules + head)
    assert rows_of(trials) == {
        *(("baseline", "resnet8", 0), ("baseline", "resnet14", 0)),
        *(("kd", "resnet8", 0), ("kd", "resnet8", 1), ("eed", "resnet8", 0), ("eed", "resnet8", 1)),
    }
    assert {trial.configuration.seeds for trial in trials if trial.configuration.method == "baseline"} == {1}


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        ("exits: '1,2'", [("1", "mse"), ("1", "kl")]),  # resnet8 has exits after these stages only
        ("exits: all", [("1", "mse"), ("1", "kl")]),
        ("exits: 1", [("all", "mse"), ("all", "kl")]),
        ("temperature: 4", [("all", "mse"), ("1", "mse")]),  # mse has no temperature
        ("{exits: ['1', all], output_loss: kl}", [("all", "mse"), ("1", "mse")]),
        ("recipe: fast", None),
        ("{recipe.epochs: 30, exits: all}", [("1", "mse"), ("1", "kl")]),
        ("head: conv", None),
    ],
)
def test_a_rule_speaks_of_trials_as_they_are(plan, rule, left):
    rules = f"exclude: [{{{rule.strip('{}')}}}]\n"
    methods = ["eed: {exits: [all, '1'], output_loss: [mse, kl], temperature: 4}"]
    if left is None:
        with pytest.raises(DocumentError, match="exclude: the rules exclude every trial"):
            plan(*methods, head=rules + HEAD)
        return
    trials = plan(*methods, head=rules + HEAD)
    assert {(t.exits.placement, t.method.output_loss) for t in map(spec_of, trials)} == set(left)


@pytest.mark.parametrize(
    ("teacher", "left"), [("self", {"resnet14"}), ("resnet8", {"resnet14"}), ("resnet14", {"resnet8"})]
)
def test_a_rule_can_name_a_teacher_who_is_still_trained_for_others(plan, teacher, left):
    rules = f"exclude: [{{teacher: {teacher}}}, {{method: baseline}}]\n"
    trials = plan("baseline:", "kd: {teacher: [self, resnet14]}", head=rules + HEAD)
    assert {t.teacher.architecture.name for t in map(spec_of, trials) if t.teacher} == left
    assert [t.role for t in trials if t.configuration.method == "baseline"] == ["teacher"]


METHODS = ["baseline: {}", "kd: {teacher: [self, resnet14]}", "eed: {exits: [all, '1'], output_loss: kl}", "dml: {}"]
a_block = st.fixed_dictionaries(
    {"methods": st.sets(st.sampled_from(METHODS), min_size=1), "seeds": st.sets(st.integers(0, 3), min_size=1)},
    optional={"architectures": st.sets(st.sampled_from(["resnet8", "resnet20"]), min_size=1)},
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    blocks=st.lists(a_block, min_size=1, max_size=3), order=st.sampled_from(["file", "breadth-first", "cheap-first"])
)
@pytest.mark.slow
def test_a_file_of_blocks_plans_what_files_of_one_block_plan_together(read, blocks, order):
    def written(block):
        shown = f"methods: {{{', '.join(sorted(block['methods']))}}}, seeds: {sorted(block['seeds'])}"
        return shown + (f", architectures: {sorted(block['architectures'])}" if "architectures" in block else "")

    head = f"name: x\ndataset: digits\nrecipe: fast\norder: {order}\n"
    shared = "architectures: [resnet8]\n" if any("architectures" not in block for block in blocks) else ""
    whole = make_plan(read(head + shared + f"blocks: [{', '.join(f'{{{written(block)}}}' for block in blocks)}]\n"))
    alone = [
        make_plan(
            read(head + yaml.safe_dump({"architectures": ["resnet8"], **yaml.safe_load(f"{{{written(block)}}}")}))
        )
        for block in blocks
    ]
    results = {trial.key for plan in alone for trial in plan.trials if trial.role == "result"}
    trained = {trial.key for plan in alone for trial in plan.trials}
    assert {trial.key for trial in whole.trials if trial.role == "result"} == results
    keys = [trial.key for trial in whole.trials]
    assert sorted(keys) == sorted(trained)
    assert all({*trial.depends_on} <= {*keys[:place]} for place, trial in enumerate(whole.trials))


def test_the_seeds_of_a_configuration_are_those_of_all_blocks(read, good):
    sweep = read(good + "blocks: [{}, {seeds: [1, 5], methods: {baseline: {}}}]\n")
    trials = [trial for trial in make_plan(sweep).trials if trial.role == "result"]
    assert {(trial.configuration.method, trial.configuration.seeds) for trial in trials} == {
        ("baseline", 3),
        ("kd", 2),
        ("eed", 2),
    }


def test_a_flat_grid_has_every_axis_in_every_method(read, good):
    # architectures, seeds, methods, teacher, temperature (4, 1, 3), exits, output_loss
    assert read(good).flat_grid == 2 * 2 * 3 * 2 * 3 * 2 * 2
    assert read(good + "blocks: [{}, {seeds: [5], methods: {baseline: {}}}]\n").flat_grid == read(good).flat_grid + 2


def test_the_name_the_resources_and_the_order_of_the_file_are_no_part_of_a_trial(read, good):
    other = good.replace("tiny", "other").replace("cpu: 1", "cpu: 2").replace("[0, 1]", "[1, 0]")
    assert {t.key for t in make_plan(read(good)).trials} == {t.key for t in make_plan(read(other)).trials}


REGIMES = "eed: {exits: all, regime: [joint, disjoint, mixed, branchwise]}"


def test_the_backbones_of_all_regimes_are_one_baseline_of_each_seed(plan):
    head = HEAD.replace("[0, 1]", "[0, 1, 2]")
    trials = plan(REGIMES, "deep_supervision: {exits: all, regime: [joint, mixed]}", head=head)
    backbones = [trial for trial in trials if trial.role == "backbone"]
    assert [(trial.configuration.method, trial.seed) for trial in backbones] == [
        ("baseline", seed) for seed in range(3)
    ]
    keys = {trial.seed: trial.key for trial in backbones}
    for trial in trials:
        regime = trial.spec.get("regime", "joint")
        assert trial.depends_on == (() if regime == "joint" else (keys[trial.seed],))
    order = [trial.key for trial in trials]
    assert all(order.index(key) < order.index(trial.key) for trial in trials for key in trial.depends_on)


def test_the_baseline_of_the_sweep_is_its_backbone(plan):
    trials = plan("baseline:", REGIMES)
    assert {trial.role for trial in trials} == {"result"}
    assert len(trials) == 2 * 5


def test_a_trial_waits_for_teacher_and_backbone(plan):
    (student, *_) = [t for t in plan("kd: {teacher: resnet20, exits: all, regime: mixed}") if t.role == "result"]
    roles = {t.key: t.role for t in plan("kd: {teacher: resnet20, exits: all, regime: mixed}")}
    assert [roles[key] for key in student.depends_on] == ["teacher", "backbone"]


def test_an_excluded_baseline_is_trained_as_a_backbone(plan):
    head = HEAD.replace("methods:", "exclude: [{method: baseline, seed: 1}]\nmethods:")
    trials = plan("baseline:", "eed: {exits: all, regime: mixed}", head=head)
    assert [(t.seed, t.role) for t in trials if t.configuration.method == "baseline"] == [
        (0, "result"),
        (1, "backbone"),
    ]


def test_a_regime_without_exits_is_the_joint_one(read):
    sweep = read(HEAD + "  kd: {teacher: self, exits: [none, all], regime: [joint, mixed]}\n")
    assert len(make_plan(sweep).trials) == 2 * 3 + 2
    assert "regime has no effect without exits" in str(sweep.merged_axes)


def test_a_search_is_joint(read):
    file = FILE.replace("eed: {output_loss: kl}", "eed: {output_loss: kl, regime: mixed}")
    with pytest.raises(DocumentError, match=r"methods\.eed\.regime: a search trains under the regime joint only"):
        read(file)
    with pytest.raises(DocumentError, match="regime"):
        read(FILE.replace("eed: {temperature", "eed: {regime: [joint, mixed], temperature"))


def test_a_backbone_costs_as_the_baseline_and_disjoint_less_than_mixed(plan):
    trials = {t.spec.get("regime", t.role): t.configuration.cost for t in plan(REGIMES)}
    baseline = plan("baseline:")[0].configuration.cost
    assert trials["backbone"] == baseline
    assert trials["disjoint"] < trials["branchwise"] < trials["mixed"]
