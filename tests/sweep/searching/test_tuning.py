"""Whole searches without Ray and without training: `Tuning` as Ray Tune drives it, on a real store and real studies."""

import math
import random
import statistics
import warnings
from collections import Counter
from pathlib import Path

import optuna
import pytest
from exeunt.sweep.searching import Studies, Tuning, is_over, outcomes
from exeunt.sweep.searching.outcome import KEY, REASON, SECONDS
from optuna.trial import TrialState

pytestmark = pytest.mark.usefixtures("hasty")
BUDGET, EPOCHS = 6, 3
SMALL = ("recipe: {learning_rate: {low: 0.01, high: 0.5, log: true}}", "recipe: {learning_rate: [0.1, 0.2]}")
"""So few settings that they come again."""
UNFIT = (
    "learning_rate: {low: 0.01, high: 0.5, log: true}",
    "accumulation: {low: 1, high: 16}, batch_size: {low: 2, high: 64}",
)
"""Some of which fit each other."""
STOPPING = ("seeds: [0, 1]", "seeds: [0, 1]\nstopping: {rule: asha, grace: 1, factor: 2}")


@pytest.fixture(autouse=True)
def strict():
    """A warning would stand on the screen of a search."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def baseline_alone(read_file):
    """A search of the baseline's learning rate."""

    def read(*pairs):
        text = read_file().text
        kept = [line for line in text.splitlines() if "kd:" not in line and "eed:" not in line]
        kept = kept[: kept.index("  methods:")] if "  methods:" in kept else kept
        return read_file(*pairs, text="\n".join(kept) + "\n")

    return read


def stand_of(driver):
    return {outcome.space.default.method.name: outcome for outcome in outcomes(Studies(driver.sweep, driver.store))}


def states(outcome):
    return [trial.state for trial in outcome.trials]


class TestBudgets:
    """Each study gets exactly what every other gets."""

    @pytest.mark.parametrize("workers", [1, 2, 5])
    def test_each_study_ends_with_exactly_the_budget_and_all_advance_at_the_same_pace(self, read_file, drive, workers):
        driver = drive(read_file(), workers=workers)
        turns = random.Random(workers)

        def turn(names):
            teacher_is_done = not any(space.teacher and space.teacher not in driver.searcher._done
                                      for space in driver.tuning._spaces)  # fmt: skip
            if teacher_is_done:
                taught = {space.space.name: space.used for space in driver.tuning._spaces}
                paces.append(max(taught.values()) - min(taught.values()))
            return turns.choice(names)

        paces: list[float] = []
        driver.run(turn)
        assert paces[-1] == 0
        assert all(pace <= max(1, workers) for pace in paces[-2 * BUDGET :])
        for outcome in stand_of(driver).values():
            assert [trial.number for trial in outcome.trials] == list(range(BUDGET))
            assert states(outcome) == [TrialState.COMPLETE] * BUDGET
            assert outcome.is_full
        assert len(driver.handed_out) == len(set(driver.handed_out)) == 1 + 3 * BUDGET
        assert driver.board.counts == "19 done, 0 running, 0 waiting, 0 failed"
        assert driver.board.unfinished == 0

    def test_those_that_need_no_teacher_advance_in_turn(self, read_file, drive):
        driver = drive(read_file())
        driver.run()
        methods = [driver.board.trials[key].spec.method.name for key in driver.handed_out]
        assert methods[0] == "baseline", "the teacher"
        assert Counter(methods[1:7]) == {"baseline": 2, "kd": 2, "eed": 2}

    def test_a_teacher_that_is_not_done_blocks_only_its_own_study(self, read_file, drive):
        driver = drive(read_file(), workers=2)
        driver.start()
        teacher = next(iter(driver.running))
        while driver.start() or len(driver.running) > 1:
            others = [name for name in driver.running if name != teacher]
            assert "kd" not in {driver.running[name].method.name for name in others}
            driver.end(others[0])
        stand = stand_of(driver)
        assert [len(stand[method].trials) for method in ("baseline", "kd", "eed")] == [BUDGET, 0, BUDGET]
        driver.run()
        assert is_over(stand_of(driver).values())

    def test_a_study_whose_teacher_fails_stays_empty_and_the_others_go_on(self, read_file, drive):
        driver = drive(read_file(), accuracy=lambda spec: "failed" if spec.architecture.name == "resnet14" else 50.0)
        driver.run()
        stand = stand_of(driver)
        assert [len(stand[method].trials) for method in ("baseline", "kd", "eed")] == [BUDGET, 0, BUDGET]
        assert not is_over(stand.values())
        again = drive(read_file())
        again.run()
        assert is_over(stand_of(again).values())
        assert again.handed_out[0] == again.tuning._spaces[1].teacher
        assert len(again.handed_out) == 1 + BUDGET

    def test_a_larger_budget_goes_on_where_the_smaller_one_ended(self, read_file, drive):
        drive(read_file()).run()
        more = drive(read_file(("budget: 6", "budget: 9"))).run()
        assert len(more.handed_out) == 3 * 3
        assert all(len(outcome.trials) == 9 for outcome in stand_of(more).values())
        less = drive(read_file(("budget: 6", "budget: 2"))).run()
        assert {less.board.trials[key].role for key in less.handed_out} == {"teacher", "result"}, "it confirms"
        assert is_over(stand_of(less).values())

    @pytest.mark.parametrize("workers", [1, 3])
    def test_a_budget_in_hours_is_used_up(self, read_file, drive, workers):
        driver = drive(read_file(("budget: 6", "budget: 4h")), workers=workers).run()
        trial_hours = EPOCHS * 600 / 3600
        for outcome in stand_of(driver).values():
            assert outcome.is_full
            assert 4 <= outcome.seconds / 3600 <= 4 + workers * trial_hours
            assert 8 <= len(outcome.trials) <= 8 + workers - 1
        assert driver.board.unfinished == 0

    def test_a_budget_in_hours_ends_where_every_trial_fails_before_its_first_epoch(self, baseline_alone, drive):
        sweep = baseline_alone(("budget: 6", "budget: 20s"), UNFIT)
        driver = drive(sweep, accuracy=lambda _: "failed")
        driver.trainer.records = lambda _: []
        driver.run(steps=50)
        outcome = stand_of(driver)["baseline"]
        assert set(states(outcome)) == {TrialState.FAIL}
        assert 1 < len(outcome.trials) <= 20
        assert outcome.is_full
        assert outcome.mostly_failed


class TestEqualSuggestions:
    """One setting may be suggested more than once."""

    def test_two_at_once_train_once_and_both_are_told(self, baseline_alone, drive):
        driver = drive(baseline_alone(SMALL), workers=4).run()
        outcome = stand_of(driver)["baseline"]
        assert states(outcome) == [TrialState.COMPLETE] * BUDGET
        assert len(driver.handed_out) == len({trial.user_attrs[KEY] for trial in outcome.trials}) == 2
        for trial in outcome.trials:
            assert trial.values == [90 - 100 * abs(trial.params["recipe.learning_rate"] - 0.1)]
        assert driver.board.counts == "6 done, 0 running, 0 waiting, 0 failed"

    def test_what_the_store_holds_already_is_told_and_not_handed_out(self, baseline_alone, drive):
        sweep = baseline_alone(SMALL)
        first = drive(sweep).run()
        again = drive(baseline_alone(SMALL, ("name: tuned", "name: other"))).run()
        assert again.handed_out == []
        assert states(stand_of(again)["baseline"]) == [TrialState.COMPLETE] * BUDGET
        assert [trial.values for trial in stand_of(again)["baseline"].trials] == [
            trial.values for trial in stand_of(first)["baseline"].trials
        ]
        assert again.board.counts == "6 done, 0 running, 0 waiting, 0 failed"

    def test_what_was_tried_in_an_earlier_run_is_told_again_and_not_waited_for(self, baseline_alone, drive):
        drive(baseline_alone(SMALL)).run()
        more = drive(baseline_alone(SMALL, ("budget: 6", "budget: 9"))).run()
        assert more.handed_out == []
        assert states(stand_of(more)["baseline"]) == [TrialState.COMPLETE] * 9

    def test_one_that_failed_is_not_trained_again_in_this_run_and_told_twice(self, baseline_alone, drive):
        driver = drive(baseline_alone(SMALL), accuracy=lambda _: "failed").run()
        assert len(driver.handed_out) == 2
        assert states(stand_of(driver)["baseline"]) == [TrialState.FAIL] * BUDGET


class TestEnds:
    """How a trial ended, in its study."""

    def test_diverged_and_failed_trials_are_told_with_their_reason_and_never_as_values(self, baseline_alone, drive):
        kinds = {"diverged": "the loss is nan", "failed": "it broke"}

        def accuracy(spec):
            rate = spec.recipe.learning_rate
            return "diverged" if rate > 0.2 else "failed" if rate < 0.02 else 50.0

        driver = drive(baseline_alone(("budget: 6", "budget: 20")), accuracy=accuracy).run()
        outcome = stand_of(driver)["baseline"]
        for trial in outcome.trials:
            how = accuracy(driver.sweep.search.trial(outcome.space, trial.params))
            if how == 50.0:
                assert (trial.state, trial.values, trial.user_attrs[SECONDS]) == (TrialState.COMPLETE, [50.0], 1800.0)
            else:
                assert (trial.state, trial.values) == (TrialState.FAIL, None)
                assert trial.user_attrs == {KEY: trial.user_attrs[KEY], REASON: kinds[how], SECONDS: 600.0}
        assert outcome.count(TrialState.FAIL) >= 4
        assert {reason for trial in outcome.trials if (reason := trial.user_attrs.get(REASON))} == {*kinds.values()}
        assert driver.board.failed == outcome.count(TrialState.FAIL)

    def test_a_worker_that_dies_is_started_again_and_told_once(self, baseline_alone, drive):
        deaths = Counter()

        def accuracy(spec):
            deaths[spec.key] += 1
            return 50.0

        driver = drive(baseline_alone(), accuracy=accuracy, retries=1)
        driver.searcher._back_off = 0.0
        finish, died = driver.trainer.finish, set()

        def dies_once(spec):
            if spec.key not in died:
                died.add(spec.key)
                return {"state": "running", "epoch": 1}
            return finish(spec)

        driver.trainer.finish = dies_once
        driver.run()
        assert states(stand_of(driver)["baseline"]) == [TrialState.COMPLETE] * BUDGET
        assert Counter(driver.handed_out).most_common()[-1][1] == 2

    def test_one_that_died_too_often_failed(self, baseline_alone, drive):
        driver = drive(baseline_alone(), accuracy=lambda _: "died").run()
        assert states(stand_of(driver)["baseline"]) == [TrialState.FAIL] * BUDGET

    @pytest.mark.parametrize("workers", [1, 3])
    def test_pruned_trials_are_told_so_with_what_they_measured_and_never_as_complete(
        self, baseline_alone, drive, workers
    ):
        driver = drive(baseline_alone(STOPPING, ("budget: 6", "budget: 12")), workers=workers).run()
        outcome = stand_of(driver)["baseline"]
        assert outcome.count(TrialState.COMPLETE) + outcome.count(TrialState.PRUNED) == 12
        assert outcome.count(TrialState.PRUNED) >= 3
        for trial in outcome.trials:
            history = driver.store.trial(trial.user_attrs[KEY]).history()
            assert trial.intermediate_values == {record["epoch"]: record["validation/final/top1"] for record in history}
            pruned = trial.state == TrialState.PRUNED
            assert len(trial.intermediate_values) < EPOCHS if pruned else len(trial.intermediate_values) == EPOCHS
            assert trial.user_attrs[SECONDS] == 600.0 * len(history)
            assert (driver.store.trial(trial.user_attrs[KEY]).result() is None) == pruned
        assert outcome.best[0].state == TrialState.COMPLETE
        assert driver.board.pruned == outcome.count(TrialState.PRUNED)

    def test_a_pruned_trial_of_another_sweep_with_this_rule_is_told_as_pruned(self, baseline_alone, drive):
        first = drive(baseline_alone(STOPPING, SMALL)).run()
        again = drive(baseline_alone(STOPPING, SMALL, ("name: tuned", "name: other"))).run()
        assert again.handed_out == []
        assert states(stand_of(again)["baseline"]) == states(stand_of(first)["baseline"])
        assert TrialState.PRUNED in states(stand_of(again)["baseline"])

    def test_settings_that_do_not_fit_each_other_are_told_as_failed_with_the_rule(self, baseline_alone, drive):
        driver = drive(baseline_alone(UNFIT, ("budget: 6", "budget: 12"))).run()
        outcome = stand_of(driver)["baseline"]
        assert len(outcome.trials) == 12
        for trial in outcome.trials:
            fits = trial.params["recipe.batch_size"] >= 2 * trial.params["recipe.accumulation"]
            assert trial.state == (TrialState.COMPLETE if fits else TrialState.FAIL)
            assert fits or trial.user_attrs[REASON].startswith("`batch_size >= 2 * accumulation, since normalisation")
        assert 0 < outcome.count(TrialState.FAIL) < 12
        assert len(driver.handed_out) == outcome.count(TrialState.COMPLETE)
        assert driver.board.unfinished == 0

    def test_a_result_without_the_objective_failed(self, baseline_alone, drive):
        driver = drive(baseline_alone())
        finish = driver.trainer.finish

        def finish_without(spec):
            report = finish(spec)
            directory = driver.store.trial(spec.key)
            directory.write_result(directory.result() | {"metrics": {}})
            return report

        driver.trainer.finish = finish_without
        driver.run()
        for trial in stand_of(driver)["baseline"].trials:
            assert trial.user_attrs[REASON] == "it does not record validation/final/top1"


def dominates(one, other):
    return one[0] >= other[0] and one[1] <= other[1] and one != other


@pytest.mark.parametrize("sampler", ["random", "nsga2", "tpe"])
def test_two_objectives_have_the_front_that_counting_gives(baseline_alone, drive, sampler):
    two = ("sampler: random", f"sampler: {sampler}\n  objective: [final, final/multiply_adds]")
    ranges = ("{low: 0.01, high: 0.5, log: true}", "{low: 0.01, high: 0.5, log: true}, batch_size: {low: 8, high: 200}")
    driver = drive(baseline_alone(two, ranges, ("budget: 6", "budget: 24")), workers=2).run()
    outcome = stand_of(driver)["baseline"]
    values = {trial.number: trial.values for trial in outcome.trials}
    for trial in outcome.trials:
        rate, size = trial.params["recipe.learning_rate"], trial.params["recipe.batch_size"]
        assert trial.values == pytest.approx([90 - 100 * abs(rate - 0.1), 1000 * (rate + 0.001 * size)])
    front = {number for number, own in values.items() if not any(dominates(other, own) for other in values.values())}
    assert [trial.number for trial in outcome.best] == sorted(front)
    assert 1 < len(front) < 24


class TestCrashes:
    """The driver dies, all its objects with it, and another one goes on."""

    class Killed(BaseException):
        """Nothing that anybody catches."""

    def crash_at(self, monkeypatch, chances):
        """Dies at a random one of the places where the studies or the store are read or written."""
        left = {"calls": chances.randrange(1, 30)}

        def dying(act, *, after):
            def tried(*args, **kwargs):
                if not after:
                    left["calls"] -= 1
                    if left["calls"] <= 0:
                        raise self.Killed
                answer = act(*args, **kwargs)
                if after:
                    left["calls"] -= 1
                    if left["calls"] <= 0:
                        raise self.Killed
                return answer

            return tried

        places = [
            (optuna.Study, "ask"),
            (optuna.Study, "tell"),
            (optuna.Trial, "set_user_attr"),
            (optuna.Trial, "suggest_float"),
            (optuna.Trial, "suggest_categorical"),
            (optuna.Trial, "report"),
            (Tuning, "ended"),
            (Tuning, "propose"),
        ]
        for owner, name in places:
            monkeypatch.setattr(owner, name, dying(getattr(owner, name), after=chances.random() < 0.5))

    @pytest.mark.parametrize("seed", range(30))
    def test_a_search_that_dies_anywhere_goes_on_to_exactly_the_budget(self, read_file, drive, store, seed):
        chances = random.Random(seed)
        pairs = [SMALL] if seed % 3 == 0 else []
        pairs += [STOPPING] if seed % 2 else []
        sweep = read_file(("budget: 6", "budget: 4"), *pairs)
        trials = Path(store.location) / "trials"
        ended: set[str] = set()
        deaths = 0
        for _ in range(100):
            died = False
            with pytest.MonkeyPatch.context() as monkeypatch:
                if deaths < 6:
                    self.crash_at(monkeypatch, chances)
                try:
                    driver = drive(sweep, workers=1 + seed % 3)
                    driver.run(chances.choice)
                except self.Killed:
                    died, deaths = True, deaths + 1
                    trained_again = [key for key in driver.trainer.trained if key in ended]
                    assert trained_again == []
            now = {path.parent.name for path in trials.glob("*/result.json")}
            assert ended <= now
            ended = now
            if not died:
                break
        assert deaths >= 2
        for outcome in stand_of(driver).values():
            assert len(outcome.trials) == 4
            assert outcome.count(TrialState.RUNNING, TrialState.WAITING) == 0
            assert outcome.is_full
            assert len({trial.number for trial in outcome.trials}) == 4
            for trial in outcome.trials:
                assert trial.params.keys() == outcome.space.ranges.keys()
                result = store.trial(trial.user_attrs[KEY]).result()
                if trial.state == TrialState.COMPLETE:
                    assert trial.values == [result["metrics"]["validation/final/top1"]]
                    assert driver.sweep.search.trial(outcome.space, trial.params).key == result["key"]
        assert driver.board.unfinished == 0

    def test_between_the_result_and_telling_it(self, baseline_alone, drive):
        sweep = baseline_alone()
        driver = drive(sweep)
        driver.start()
        spec = next(iter(driver.running.values()))
        driver.trainer.finish(spec)
        after = drive(sweep).run()
        assert spec.key not in after.handed_out
        outcome = stand_of(after)["baseline"]
        assert outcome.trials[0].user_attrs[KEY] == spec.key
        assert states(outcome) == [TrialState.COMPLETE] * BUDGET

    def test_a_trial_that_had_begun_goes_on_under_its_number(self, baseline_alone, drive):
        sweep = baseline_alone()
        driver = drive(sweep, workers=3)
        while driver.start():
            pass
        begun = {name: spec.key for name, spec in driver.running.items()}
        after = drive(sweep, workers=3).run()
        assert after.handed_out[:3] == list(begun.values())
        assert [trial.user_attrs[KEY] for trial in stand_of(after)["baseline"].trials][:3] == list(begun.values())
        assert len(after.handed_out) == BUDGET

    def test_one_at_a_time_it_suggests_what_it_would_have_suggested(self, read_file, drive, store, tmp_path):
        """Also with a sampler that learns."""
        sweep = read_file(("sampler: random", "sampler: tpe"), ("budget: 6", "budget: 14"))
        for interrupted in range(1, 40, 3):
            driver = drive(sweep)
            for _ in range(interrupted % 7):
                if driver.start():
                    driver.end(next(iter(driver.running)))
        again = drive(sweep).run()
        store.__init__(tmp_path / "undisturbed")
        undisturbed = drive(sweep).run()
        for method, outcome in stand_of(undisturbed).items():
            other = stand_of(again)[method]
            assert [trial.params for trial in outcome.trials] == [trial.params for trial in other.trials], method


class TestTelling:
    """A database that answers late, or not at all."""

    def test_an_answer_that_is_lost_after_telling_is_no_failure(self, baseline_alone, drive, monkeypatch):
        tell, lost = optuna.Study.tell, set()

        def losing(study, number, *args, **kwargs):
            told = tell(study, number, *args, **kwargs)
            if number not in lost:
                lost.add(number)
                raise ConnectionError("the answer is lost")
            return told

        monkeypatch.setattr(optuna.Study, "tell", losing)
        monkeypatch.setattr("exeunt.sweep.searching.studies.PAUSES", (0.0,))
        driver = drive(baseline_alone(STOPPING)).run()
        assert lost == set(range(BUDGET))
        assert not driver.halt.wanted()
        assert is_over(stand_of(driver).values())

    def test_studies_that_stay_away_halt_the_sweep_and_the_next_one_tells_them(
        self, baseline_alone, drive, monkeypatch
    ):
        def away(*_, **__):
            raise ConnectionError("nobody\nis there")

        sweep = baseline_alone()
        monkeypatch.setattr("exeunt.sweep.searching.studies.PAUSES", (0.0,))
        driver = drive(sweep)
        driver.start()
        with monkeypatch.context() as gone:
            gone.setattr(optuna.Study, "tell", away)
            driver.end(next(iter(driver.running)))
            assert driver.halt.wanted()
            assert "nobody" in str(driver.halt.outcome())
            assert "is there" not in str(driver.halt.outcome())
            assert not driver.start()
        after = drive(sweep).run()
        assert len(after.handed_out) == BUDGET - 1
        assert is_over(stand_of(after).values())


HARTMANN = """\
name: hartmann
dataset: digits
architectures: [resnet8]
seeds: [0]
recipe: {base: crd, epochs: 2, milestones: [1], weight_decay: 0.5}
methods:
  baseline: {}
search:
  budget: 60
  sampler: tpe
  seed: 1
  recipe:
    momentum: {low: 0, high: 1}
    weight_decay: {low: 0, high: 1}
    gradient_clip: {low: 0, high: 1}
    warmup_epochs: {low: 0, high: 1}
    ema_decay: {low: 0, high: 0.999999}
    learning_rate: {low: 0.000001, high: 1}
"""
FIELDS = ("momentum", "weight_decay", "gradient_clip", "warmup_epochs", "ema_decay", "learning_rate")
TRIALS, SEEDS = 60, range(1, 6)
ALPHA = (1.0, 1.2, 3.0, 3.2)
A = ((10, 3, 17, 3.5, 1.7, 8), (0.05, 10, 17, 0.1, 8, 14), (3, 3.5, 1.7, 10, 17, 8), (17, 8, 0.05, 10, 0.1, 14))
P = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)
BEST = 3.32237
"""At (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573): Surjanovic and Bingham, sfu.ca/~ssurjano/hart6.html."""


def hartmann6(x):
    exponents = (
        sum(a * (v - p) ** 2 for a, v, p in zip(row, x, of, strict=True)) for row, of in zip(A, P, strict=True)
    )
    return sum(alpha * math.exp(-exponent) for alpha, exponent in zip(ALPHA, exponents, strict=True))


def by_optuna_alone(sampler, trials=TRIALS):
    study = optuna.create_study(sampler=sampler, direction="maximize")
    study.optimize(
        lambda trial: 100 * hartmann6([trial.suggest_float(name, *_bounds(name)) for name in FIELDS]), n_trials=trials
    )
    return study.best_value


def _bounds(name):
    return {"ema_decay": (0, 0.999999), "learning_rate": (0.000001, 1)}.get(name, (0, 1))


def test_hartmann6_is_written_down_right():
    assert hartmann6((0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573)) == pytest.approx(BEST, abs=1e-4)


@pytest.fixture
def searched(read_file, store):
    """The best value that a search finds of the same function, in percent, with six settings for its coordinates."""

    def search(drive, *, sampler, seed):
        text = HARTMANN.replace("sampler: tpe", f"sampler: {sampler}").replace("seed: 1", f"seed: {seed}")
        sweep = read_file(text=text.replace("name: hartmann", f"name: hartmann-{sampler}-{seed}"))
        driver = drive(sweep, accuracy=lambda spec: 100 * hartmann6([getattr(spec.recipe, name) for name in FIELDS]))
        driver.run()
        (outcome,) = outcomes(Studies(sweep, store))
        assert states(outcome) == [TrialState.COMPLETE] * TRIALS
        return outcome.best[0].values[0]

    return search


@pytest.mark.slow
def test_on_hartmann6_a_search_finds_what_optuna_alone_finds_and_random_search_does_not(searched, drive):
    """Means over 5 seeds, 60 trials each, one at a time.

    Optuna alone, over 20 seeds, finds 295.7 with a standard deviation of 17.3, so a mean of 5 has 7.7, and three times
    that is 23.2. Random search finds 187.2 with 42.0.
    """
    optuna_alone = [by_optuna_alone(optuna.samplers.TPESampler(seed=seed, constant_liar=True)) for seed in range(1, 21)]
    mean, spread = statistics.mean(optuna_alone), statistics.stdev(optuna_alone)
    lowest = mean - 3 * spread / math.sqrt(len(SEEDS))
    ours = statistics.mean(searched(drive, sampler="tpe", seed=seed) for seed in SEEDS)
    at_random = statistics.mean(searched(drive, sampler="random", seed=seed) for seed in SEEDS)
    print(f"Optuna alone {mean:.1f} +- {spread:.1f}, ours {ours:.1f}, at random {at_random:.1f}, bound {lowest:.1f}")
    assert lowest <= ours <= 100 * BEST
    assert at_random < lowest - 3 * spread
