"""Optuna studies as the record of a search: suggestions do not depend on how often they were opened."""

import json
import math
import warnings

import pytest
from exeunt.store.trial_store import Store
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.search import Studies
from exeunt.sweep.search.studies import JOURNAL, SAMPLER_CLASSES, StudiesError, mend_journal

FILE = """\
name: suggested
dataset: digits
architectures: [resnet8]
seeds: [0, 1]
recipe: {base: fast, epochs: 2, batch_size: 64}
methods:
  eed: {output_loss: kl}
search:
  budget: 12
  sampler: tpe
  recipe:
    learning_rate: {low: 0.001, high: 0.5, log: true}
    batch_size: {low: 16, high: 130, step: 16}
    accumulation: {low: 1, high: 8, log: true}
    weight_decay: {low: 0, high: 0.001, step: 0.0003}
  methods:
    eed: {temperature: {low: 1, high: 8}, feature_weight: [0, 1], exits: [all, "1"], output_weight: [null, 0.5]}
"""
ASKED = 12

EACH = [pytest.param(name, marks=pytest.mark.slow) if name == "gp" else name for name in SAMPLER_CLASSES]

pytestmark = pytest.mark.usefixtures("hasty")


@pytest.fixture
def sweep_with(tmp_path):
    def read(sampler="tpe", text=FILE):
        path = tmp_path / "sweep.yaml"
        path.write_text(text.replace("sampler: tpe", f"sampler: {sampler}"), encoding="utf-8")
        return read_sweep(path)

    return read


def score(values):
    """Return the value of an objective to maximize."""
    rate = abs(math.log10(values["recipe.learning_rate"]) + 1)
    return 90 - 10 * rate - abs(values["temperature"] - 3) + values["feature_weight"] - values["recipe.batch_size"] / 64


def open_anew(sweep, path):
    studies = Studies(sweep, Store(path))
    studies.mend()
    return studies, studies.search.spaces[0]


def suggested(sweep, path, *, opened_before=lambda number: number == 0, before_ask=lambda *_: None):
    """Return the settings of all trials, which run one after the other."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(ASKED):
            if opened_before(number):
                studies, space = open_anew(sweep, path)
            before_ask(studies, space, number)
            left = studies.cut_off(space, known=())
            trial = studies.complete(space, left[0]) if left else studies.ask(space)
            studies.of(space).tell(trial.number, score(trial.params))
    return [trial.params for trial in studies.of(space).get_trials()]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """Function that returns the suggestions of a sampler in an uninterrupted search."""
    known = {}

    def of(sampler, sweep):
        if sampler not in known:
            known[sampler] = suggested(sweep, tmp_path_factory.mktemp("store"))
        return known[sampler]

    return of


@pytest.mark.parametrize("sampler", EACH)
class TestSamplers:
    """Each sampler on floats, integers and choices, with and without steps, without warnings."""

    @pytest.mark.slow
    def test_suggestions_are_within_their_ranges_and_differ(self, sampler, sweep_with, undisturbed):
        trials = undisturbed(sampler, sweep_with(sampler))
        assert len(trials) == ASKED
        for values in trials:
            assert 0.001 <= values["recipe.learning_rate"] <= 0.5
            assert values["recipe.batch_size"] in range(16, 129, 16)
            assert values["recipe.accumulation"] in range(1, 9)
            assert any(values["recipe.weight_decay"] == pytest.approx(step * 0.0003) for step in range(4))
            assert 1 <= values["temperature"] <= 8
            assert values["feature_weight"] in (0, 1)
            assert values["exits"] in ("all", "1")
            assert values["output_weight"] in (None, 0.5)
        for name in ("recipe.learning_rate", "temperature"):
            assert len({values[name] for values in trials}) == ASKED

    @pytest.mark.slow
    def test_the_same_seed_gives_the_same_and_another_others(self, sampler, sweep_with, undisturbed, tmp_path):
        first = undisturbed(sampler, sweep_with(sampler))
        assert suggested(sweep_with(sampler), tmp_path / "again") == first
        other = sweep_with(sampler, FILE.replace("budget: 12", "budget: 12\n  seed: 77"))
        assert suggested(other, tmp_path / "other") != first

    @pytest.mark.slow
    def test_a_search_that_is_interrupted_after_each_trial_suggests_the_same(
        self, sampler, sweep_with, undisturbed, tmp_path
    ):
        first = undisturbed(sampler, sweep_with(sampler))
        again = suggested(sweep_with(sampler), tmp_path / "runs", opened_before=lambda _: True)
        assert again == first

    @pytest.mark.slow
    @pytest.mark.parametrize("last", [0, 5, 10])
    def test_one_that_died_before_the_first_value_of_a_trial_suggests_the_same(
        self, sampler, sweep_with, undisturbed, tmp_path, last
    ):
        def die(studies, space, number):
            if number == last:
                studies.of(space).ask()

        again = suggested(
            sweep_with(sampler),
            tmp_path / "runs",
            opened_before=lambda number: number in (0, last, last + 1),
            before_ask=die,
        )
        assert again == undisturbed(sampler, sweep_with(sampler))

    @pytest.mark.slow
    def test_one_that_died_with_all_values_goes_on_with_them(self, sampler, sweep_with, undisturbed, tmp_path):
        def die(studies, space, number):
            if number == 6:
                studies.ask(space)

        again = suggested(
            sweep_with(sampler), tmp_path / "runs", opened_before=lambda number: number in (0, 6), before_ask=die
        )
        assert again == undisturbed(sampler, sweep_with(sampler))

    @pytest.mark.slow
    def test_one_that_died_between_two_values_has_a_value_for_each_range(self, sampler, sweep_with, tmp_path):
        def die(studies, space, number):
            if number in (0, 6):
                studies.of(space).ask().suggest_float("recipe.learning_rate", 0.001, 0.5, log=True)

        sweep = sweep_with(sampler)
        trials = suggested(sweep, tmp_path / "runs", before_ask=die)
        assert all(values.keys() == sweep.search.spaces[0].ranges.keys() for values in trials)


@pytest.mark.parametrize("sampler", [sampler for sampler in EACH if sampler != "cmaes"])
def test_two_objectives_are_asked_for_of_all_that_take_them(sampler, sweep_with, tmp_path):
    two = FILE.replace("budget: 12", "budget: 12\n  objective: [final, exit1/multiply_adds]")
    studies, space = open_anew(sweep_with(sampler, two), tmp_path / "runs")
    study = studies.of(space)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(ASKED):
            trial = studies.ask(space)
            study.tell(trial.number, [score(trial.params), trial.params["temperature"]])
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["validation top-1 of the final exit", "multiply-adds of exit 1"]


class TestJournal:
    """A journal whose writer was killed."""

    @pytest.fixture
    def written(self, sweep_with, tmp_path):
        """A sweep, its storage, its journal and its content: two completed trials and a running one."""
        sweep = sweep_with("random")
        studies, space = open_anew(sweep, tmp_path / "runs")
        for _ in range(2):
            trial = studies.ask(space)
            studies.of(space).tell(trial.number, 1.0)
        studies.ask(space)
        path = tmp_path / "runs" / "sweeps" / "suggested" / JOURNAL
        return sweep, tmp_path / "runs", path, path.read_bytes()

    def test_a_last_line_that_was_cut_off_anywhere_is_taken_away_and_all_others_stay(self, written):
        sweep, storage, path, content = written
        begin = content.rstrip(b"\n").rfind(b"\n") + 1
        for end in range(begin, len(content) + 1):
            path.write_bytes(content[:end])
            mend_journal(path)
            assert path.read_bytes() == (content if end == len(content) else content[:begin])
        for left, missing in ((content, 0), (content[:begin], 1)):
            path.write_bytes(left)
            studies, space = open_anew(sweep, storage)
            trials = studies.of(space).get_trials()
            assert [trial.state.name for trial in trials] == ["COMPLETE", "COMPLETE", "RUNNING"]
            assert len(space.ranges.keys() - trials[-1].params.keys()) == missing

    def test_a_line_that_was_cut_off_within_would_be_damage_to_optuna(self, written):
        """Without the repair, the test above would fail."""
        sweep, storage, path, content = written
        path.write_bytes(content[:-20])
        studies = Studies(sweep, Store(storage))
        studies.of(sweep.search.spaces[0])
        with pytest.raises(json.JSONDecodeError):
            studies.ask(sweep.search.spaces[0])

    def test_whatever_line_is_the_last_a_study_goes_on(self, written):
        sweep, storage, path, content = written
        lines = content.splitlines(keepends=True)
        for whole in range(len(lines)):
            path.write_bytes(b"".join(lines[:whole]) + lines[whole][:7])
            studies, space = open_anew(sweep, storage)
            asked = studies.cut_off(space, known=())
            trial = studies.complete(space, asked[0]) if asked else studies.ask(space)
            assert trial.params.keys() == space.ranges.keys()
            studies.of(space).tell(trial.number, 1.0)

    def test_a_lock_that_a_dead_driver_left_holds_nobody_up(self, written):
        sweep, storage, path, _ = written
        lock = path.with_name(path.name + ".lock")
        lock.symlink_to(path)
        studies, space = open_anew(sweep, storage)
        assert not lock.is_symlink()
        assert studies.ask(space).number == 3

    def test_what_is_not_there_or_empty_needs_no_mending(self, tmp_path):
        mend_journal(tmp_path / JOURNAL)
        assert list(tmp_path.iterdir()) == []
        (tmp_path / JOURNAL).touch()
        mend_journal(tmp_path / JOURNAL)
        assert (tmp_path / JOURNAL).read_bytes() == b""


def test_nothing_is_made_before_a_study_is_opened(sweep_with, tmp_path):
    studies = Studies(sweep_with(), Store(tmp_path / "runs"))
    assert not studies.exist()
    studies.mend()
    assert not (tmp_path / "runs").exists()
    studies.of(studies.search.spaces[0])
    assert studies.exist()


def test_an_object_store_needs_a_database(sweep_with):
    studies = Studies(sweep_with(), Store("s3://bucket/sweeps"))
    studies.mend()
    with pytest.raises(StudiesError) as error:
        studies.of(studies.search.spaces[0])
    advice = "name a database, such as search: {studies: postgresql+psycopg://USER:$PASSWORD@HOST/NAME}."
    assert str(error.value) == f"s3://bucket/sweeps: an object store cannot hold the journal of a search; {advice}"


class TestDatabase:
    """An SQLite database that `studies` names."""

    @pytest.fixture
    def sweep(self, sweep_with, monkeypatch, tmp_path):
        monkeypatch.setenv("FOLDER", str(tmp_path))
        return sweep_with(text=FILE.replace("budget: 12", "budget: 12\n  studies: sqlite:///$FOLDER/${FOLDER_NAME}.db"))

    def test_what_stands_behind_a_dollar_is_taken_from_the_environment(self, sweep, monkeypatch, tmp_path):
        monkeypatch.setenv("FOLDER_NAME", "x")
        studies = Studies(sweep, Store("s3://bucket/sweeps"))
        studies.mend()
        assert studies.exist()
        trial = studies.ask(space := studies.search.spaces[0])
        studies.of(space).tell(trial.number, 1.0)
        assert (tmp_path / "x.db").exists()
        again = Studies(sweep, Store("s3://bucket/sweeps")).of(space).get_trials()
        assert [(trial.number, trial.params) for trial in again] == [(0, trial.params)]
        assert not (tmp_path / "runs").exists()

    @pytest.mark.parametrize("folder", ["a?b", "a%20b", "a b", "a#b"])
    def test_a_variable_may_be_a_path_with_special_characters(self, sweep, monkeypatch, tmp_path, folder):
        (tmp_path / folder).mkdir()
        monkeypatch.setenv("FOLDER", str(tmp_path / folder))
        monkeypatch.setenv("FOLDER_NAME", "x")
        studies = Studies(sweep, Store("s3://bucket/sweeps"))
        studies.ask(studies.search.spaces[0])
        assert [*tmp_path.rglob("*.db")] == [tmp_path / folder / "x.db"]

    def test_what_is_no_url_is_refused(self, sweep_with, tmp_path):
        sweep = sweep_with(text=FILE.replace("budget: 12", "budget: 12\n  studies: no url"))
        with pytest.raises(StudiesError, match=r"sweep.yaml:10: search.studies: 'no url' is not a database URL"):
            Studies(sweep, Store(tmp_path / "runs")).of(sweep.search.spaces[0])


def test_studies_of_one_sweep_are_told_apart_by_method_network_and_what_they_try(sweep_with, tmp_path):
    wide = sweep_with(text=FILE.replace("[resnet8]", "[resnet8, resnet14]"))
    studies = Studies(wide, Store(tmp_path / "runs"))
    names = [studies.name(space) for space in studies.search.spaces]
    assert [name.rpartition("/")[0] for name in names] == ["suggested/eed/resnet8", "suggested/eed/resnet14"]
    for space in studies.search.spaces:
        studies.ask(space)
    assert [len(studies.of(space).get_trials()) for space in studies.search.spaces] == [1, 1]
    narrow = Studies(sweep_with(text=FILE.replace("high: 8}, feature", "high: 9}, feature")), Store(tmp_path / "runs"))
    assert narrow.of(narrow.search.spaces[0]).get_trials() == []
