from contextlib import suppress
from pathlib import Path

import pytest
from exeunt.store import Margins
from exeunt.sweep.planning.stopping import Stopping
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.planning.yaml_document import DocumentError
from hypothesis import given
from hypothesis import strategies as st

from ..sweep_files import NAMES_OF_BAD_FILES

QUICKSTART = (Path(__file__).parents[3] / "configs" / "quickstart.yaml").read_text(encoding="utf-8")
YAML_SIGNS = "[]{}:,#&*!|>'\"%@`-?~<=0123456789.+eE_ \n\t"


@pytest.mark.slow
@pytest.mark.parametrize("bad_file", NAMES_OF_BAD_FILES, indirect=True)
def test_a_bad_file_is_refused_with_file_line_place_value_and_rule(bad_file):
    with pytest.raises(DocumentError) as error:
        read_sweep(bad_file.path)
    message = str(error.value)
    assert message.startswith(f"{bad_file.path}{bad_file.where}")
    assert bad_file.part in message
    assert all(line.startswith(f"{bad_file.path}") for line in message.splitlines())


def test_a_tag_runs_nothing(read, good, tmp_path):
    with pytest.raises(DocumentError):
        read(good.replace("tiny", f"!!python/object/apply:pathlib.Path.touch ['{tmp_path / 'touched'}']"))
    assert not (tmp_path / "touched").exists()


def test_the_line_is_that_of_the_mistake_in_a_file_of_many_lines(read, good):
    spread = "  eed:\n    temperature:\n      - 1\n      - 0\n"
    with pytest.raises(DocumentError, match=r"sweep.yaml:13: methods.eed.temperature\[1\]: "):
        read(good.replace(good.splitlines()[-1] + "\n", spread + "    output_loss: kl\n"))


@pytest.mark.parametrize("written", ["5e-4", "5E-4", "+5e-4", "5.e-4", ".5e-3", "0.0005", "50e-5"])
def test_numbers_are_read_as_people_write_them(read, good, written):
    sweep = read(good.replace("epochs: 2", f"weight_decay: {written}"))
    assert {trial.recipe.weight_decay for trial in sweep.trials} == {0.0005}


@pytest.mark.parametrize(
    ("written", "processes", "cores"),
    [
        ("{}", 1, 1),
        ("{cpu: 3}", 1, 3),
        ("{gpu: 0.25}", 1, 1),
        ("{gpu: 1, cpu: 6}", 1, 6),
        ("{gpu: 4}", 4, 4),
        ("{gpu: 4, processes: 4, cpu: 32}", 4, 32),
        ("{processes: 2}", 2, 2),
        ("{processes: 2, cpu: 6}", 2, 6),
        ("{gpu: auto}", 1, 1),
        ("{gpu: auto, cpu: 4}", 1, 4),
    ],
)
def test_a_process_for_each_accelerator_and_a_core_for_each_process(read, good, written, processes, cores):
    resources = read(good.replace("{cpu: 1}", written)).resources.common
    assert (resources.members, resources.cores) == (processes, cores)


def test_a_share_of_an_accelerator_is_given_or_measured(read, good):
    assert read(good.replace("cpu: 1", "gpu: auto")).resources.common.gpu == "auto"
    assert read(good.replace("cpu: 1", "gpu: 1")).resources.common.gpu == 1


@pytest.mark.parametrize(
    ("written", "gpus", "gpu"),
    [
        ("{}", 0, 0),
        ("{}", 2, "auto"),
        ("{gpu: 0}", 2, 0),
        ("{gpu: 0.5}", 2, 0.5),
        ("{gpu: 1}", 0, 1),
        ("{gpu: auto}", 0, "auto"),
        ("{processes: 2}", 0, 0),
        ("{processes: 2}", 1, 0),
        ("{processes: 2}", 2, 2),
        ("{gpu: 0, processes: 2}", 2, 0),
    ],
)
def test_gpus_that_the_file_does_not_set_are_those_of_the_largest_node(read, good, written, gpus, gpu):
    assert read(good.replace("{cpu: 1}", written)).resources.common.gpu_on(gpus) == gpu


def test_a_trial_is_started_again_twice_if_nothing_is_said(read, good):
    assert read(good).resources.common.retries == 2
    assert read(good.replace("cpu: 1", "retries: 0")).resources.common.retries == 0


@pytest.mark.parametrize(
    ("written", "stopping"),
    [
        ("none", None),
        ("asha", Stopping(rule="asha", grace=10, factor=3)),
        ("{rule: hyperband, grace: 1, factor: 2}", Stopping(rule="hyperband", grace=1, factor=2)),
        ("{rule: median, grace: 1, factor: 7}", Stopping(rule="median", grace=1)),
    ],
)
def test_trials_are_stopped_by_a_rule_if_one_is_named(read, good, written, stopping):
    file = good.replace("epochs: 2", "epochs: 20") + f"validation: 0.1\nstopping: {written}\n"
    assert read(file).stopping == stopping
    assert read(good).stopping is None


def test_a_rule_that_could_stop_nothing_is_refused(read, good):
    file = good + "validation: 0.1\nstopping: {rule: asha, grace: 2}\n"
    with pytest.raises(DocumentError, match=r"stopping.grace: `grace < epochs` must hold, but got grace=2, epochs=2"):
        read(file)
    with pytest.raises(DocumentError, match=r"stopping: `grace < epochs` must hold, but got grace=10, epochs=2"):
        read(file.replace("{rule: asha, grace: 2}", "asha"))
    assert read(file.replace("grace: 2", "grace: 1")).stopping is not None


def test_an_exponent_makes_no_number_of_a_name(read, good):
    assert read(good.replace("tiny", "a5e-4")).name == "a5e-4"


def test_a_list_is_one_value_of_milestones_and_a_list_of_lists_is_an_axis(read, good):
    one = read(good.replace("{base: fast, epochs: 2}", "{base: paper, milestones: [1, 2]}"))
    assert {trial.recipe.milestones for trial in one.trials} == {(1, 2)}
    two = read(good.replace("{base: fast, epochs: 2}", "{base: paper, milestones: [[1, 2], [3], []]}"))
    assert {trial.recipe.milestones for trial in two.trials} == {(1, 2), (3,), ()}
    assert len(two.trials) == 3 * len(one.trials)


def test_a_list_of_recipes_is_an_axis(read, good):
    sweep = read(good.replace("{base: fast, epochs: 2}", "[paper, {base: fast, epochs: [3, 4]}]"))
    assert {(trial.recipe.schedule, trial.recipe.epochs) for trial in sweep.trials} == {
        ("multistep", 200),
        ("one_cycle", 3),
        ("one_cycle", 4),
    }


def test_a_recipe_without_a_base_changes_the_papers(read, good):
    recipes = {trial.recipe for trial in read(good.replace("base: fast, ", "")).trials}
    assert {(recipe.epochs, recipe.schedule, recipe.learning_rate) for recipe in recipes} == {(2, "multistep", 0.1)}


@pytest.mark.parametrize(
    ("recipe", "warned"),
    [
        ("paper", []),
        ("{base: fast, epochs: 60}", []),
        ("{epochs: 60, schedule: cosine}", []),
        ("{epochs: 181}", []),
        ("{epochs: 180}", ["paper: milestone 180 comes after the last of 180 epochs"]),
        ("{base: crd, epochs: 60, milestones: [30, 45]}", []),
        ("{base: crd, epochs: 1}", ["crd: milestones 150, 180 and 210 come after the last of 1 epoch"]),
        (
            "[{epochs: [60, 100], milestones: [[50], [60, 120, 160]]}, {epochs: 100, milestones: [60, 120, 160]}]",
            [
                "paper: milestones 60, 120 and 160 come after the last of 60 epochs",
                "paper: milestones 120 and 160 come after the last of 100 epochs",
            ],
        ),
    ],
)
def test_milestones_that_are_not_reached_are_warned_of_once(read, good, recipe, warned):
    sweep = read(good.replace("{base: fast, epochs: 2}", recipe) + "blocks: [{}, {seeds: [2]}]\n")
    assert sweep.warnings == tuple(f"recipe {said}; the learning rate does not change there." for said in warned)


def test_a_method_needs_no_settings_and_a_stage_no_quotes(read, good):
    assert len(read(good.replace("baseline: {}", "baseline:")).trials) == len(read(good).trials)
    assert [trial.key for trial in read(good.replace('"1"', "1")).trials] == [t.key for t in read(good).trials]


def test_anchors_and_merged_mappings_work_as_in_yaml(read, good):
    merged = good.replace("kd: {", "kd: &kd {") + "  final_target: {<<: {exits: '1'}}\n"
    assert read(merged).trials[-1].exits.placement == "1"


def test_what_every_block_says_itself_is_not_said_for_all_of_them(read, good):
    with pytest.raises(DocumentError, match=r"sweep.yaml:4: seeds: not used, because every block sets its own 'seeds'"):
        read(good + "blocks: [{seeds: [1]}, {seeds: [2]}]\n")


def test_what_a_block_lacks_is_missing_there(read, good):
    without = good.replace("dataset: digits\n", "")
    with pytest.raises(DocumentError, match=r"sweep.yaml:12: blocks\[1\].dataset: the key 'dataset' is missing"):
        read(without + "blocks:\n  - dataset: digits\n  - seeds: [7]\n")


@pytest.mark.parametrize(
    ("written", "margins"),
    [
        ("", Margins()),
        ("detect: 0.5\nequivalent: 1\n", Margins(detect=0.5, equivalent=1.0)),
        ("detect: {difference: 0.5, spread: 0.4}\n", Margins(detect=0.5, spread=0.4)),
    ],
)
def test_the_differences_that_matter_leave_the_trials_as_they_are(read, good, written, margins):
    sweep = read(good + written)
    assert sweep.margins == margins
    assert sweep.trials == read(good).trials


def test_a_difference_needs_a_baseline(read, good):
    with pytest.raises(DocumentError, match="detect: refers to a difference from the method 'baseline', which is miss"):
        read(good.replace("baseline: {}", "label_smoothing: {}") + "detect: 0.5\n")


def test_the_same_seed_twice_is_one_seed(read, good):
    assert read(good.replace("[0, 1]", "[0, 0, 1]")).seeds == 2


def test_the_text_is_kept_as_it_was_written(read, good):
    text = "# in the author's words: ä\n" + good
    assert read(text).text == text


@pytest.fixture(scope="session")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "sweep.yaml"


@given(data=st.data())
def test_whatever_is_mistyped_the_file_is_read_or_refused(data, scratch):
    text = QUICKSTART[QUICKSTART.index("name:") :]
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        removed = data.draw(st.integers(0, 3))
        typed = data.draw(st.text(st.sampled_from(YAML_SIGNS) | st.characters(codec="utf-8"), max_size=3))
        text = text[:start] + typed + text[start + removed :]
    scratch.write_text(text, encoding="utf-8")
    with suppress(DocumentError):
        assert read_sweep(scratch).trials
