"""Searches with several seeds per suggestion, without Ray and without training."""

import random
from collections import Counter
from statistics import fmean

import pytest
from exeunt.sweep.planning.plan import missing
from exeunt.sweep.search import repeats_of, search_plan
from exeunt.sweep.search.racing import is_worse
from exeunt.sweep.search.study_summary import REASON, SECONDS, VALUES
from exeunt.sweep.terminal.search import search_table
from optuna.trial import TrialState
from rich.console import Console

from .conftest import by_rate
from .searches import EPOCHS, STOPPING, states

pytestmark = pytest.mark.usefixtures("hasty", "strict")
REPEATED = ("budget: 6", "budget: 12\n  repeats: 3")
TPE = ("sampler: random", "sampler: tpe")
SEEDS = [2, 3, 4]


def noisy(spec):
    """Return a top-1 with noise of the size of the differences between settings."""
    return by_rate(spec) + 5 * random.Random(spec.key).gauss()


def told(driver):
    """Return each suggestion of a search with its value and its number of trials."""
    return {
        method: [(trial.params, trial.values, repeats_of(trial)) for trial in outcome.trials]
        for method, outcome in driver.stand().items()
    }


class TestRacing:
    """The rule by which a suggestion gets no further seeds."""

    @pytest.mark.parametrize(
        ("values", "best", "worse"),
        [
            ([79], [80, 82, 81], True),
            ([82], [80, 82, 81], False),
            ([79, 82], [80, 82, 81], False),
            ([79, 80], [80, 82, 81], True),
            ([81], [81, 81, 81], False),
            ([79] * 5, [80] * 7, True),
            ([79, 79, 79, 79, 90], [80] * 7, False),
            ([80] * 5, [80] * 7, False),
            ([79.9] * 4 + [80.01] + [79.9] * 3, [80] * 10, True),
        ],
        ids=str,
    )
    def test_a_suggestion_loses_with_each_seed_or_significantly(self, values, best, worse):
        assert is_worse(values, best, "maximize") == worse
        assert is_worse([-value for value in values], [-value for value in best], "minimize") == worse


class TestBudget:
    """Each training counts, and the best has all of its seeds."""

    @pytest.mark.parametrize("workers", [1, 3])
    def test_each_study_trains_exactly_the_budget(self, read_file, drive, workers):
        driver = drive(read_file(REPEATED), noisy, workers=workers)
        driver.run(random.Random(workers).choice)
        stand = driver.stand()
        assert len(driver.handed_out) == len(set(driver.handed_out)) == 1 + 3 * 12
        assert (driver.board.counts, driver.board.unfinished) == ("37 done, 0 running, 0 waiting, 0 failed", 0)
        for outcome in stand.values():
            assert (outcome.trainings, outcome.is_full, outcome.tried) == (12, True, "12 complete, 0 pruned, 0 failed")
            assert states(outcome) == [TrialState.COMPLETE] * len(outcome.trials)
            assert {repeats_of(trial) for trial in outcome.trials} >= {1, 3}
            complete = [trial for trial in outcome.trials if repeats_of(trial) == 3]
            assert outcome.best == (max(complete, key=lambda trial: trial.values),)
            for trial in outcome.trials:
                trained = [driver.sweep.search.trial(outcome.space, trial.params, n) for n in range(repeats_of(trial))]
                assert [spec.seed for spec in trained] == SEEDS[: len(trained)]
                assert [value for (value,) in trial.user_attrs[VALUES]] == pytest.approx([*map(noisy, trained)])
                assert trial.values == [pytest.approx(fmean(map(noisy, trained)))]
                assert trial.user_attrs[SECONDS] == 600.0 * EPOCHS * len(trained)
        lucky = [trial for one in stand.values() for trial in one.trials if trial.values > one.best[0].values]
        assert {repeats_of(trial) for trial in lucky} <= {1, 2}

    def test_a_budget_in_hours_counts_each_training(self, baseline_alone, drive):
        driver = drive(baseline_alone(("budget: 6", "budget: 6h\n  repeats: 3")), noisy).run()
        (outcome,) = driver.stand().values()
        assert (outcome.seconds / 3600, outcome.trainings) == (6, 12)
        assert repeats_of(outcome.trials[0]) == 3

    def test_without_a_suggestion_with_all_seeds_those_with_the_most_are_compared(self, baseline_alone, drive):
        first = []

        def accuracy(spec):
            first.append(spec.configuration)
            return "diverged" if spec.configuration == first[0] and spec.seed == 3 else noisy(spec)

        driver = drive(baseline_alone(("budget: 6", "budget: 4\n  repeats: 3")), accuracy).run()
        (outcome,) = driver.stand().values()
        assert [(trial.state.name, repeats_of(trial)) for trial in outcome.trials] == [("FAIL", 2), ("COMPLETE", 2)]
        assert outcome.trials[0].user_attrs[REASON] == "the loss is nan"
        assert outcome.tried == "3 complete, 0 pruned, 1 failed"
        assert [trial.number for trial in outcome.best] == [1]

    def test_a_trial_that_is_stopped_early_ends_its_suggestion(self, baseline_alone, drive):
        driver = drive(baseline_alone(STOPPING, REPEATED), noisy).run()
        (outcome,) = driver.stand().values()
        pruned = [trial for trial in outcome.trials if trial.state == TrialState.PRUNED]
        assert pruned
        assert all(len(trial.intermediate_values) < EPOCHS for trial in pruned)
        assert outcome.trainings == len(driver.handed_out) == 12

    def test_a_front_has_no_race(self, baseline_alone, drive):
        two = ("sampler: random", "sampler: random\n  objective: [final, final/multiply_adds]")
        (outcome,) = drive(baseline_alone(two, REPEATED), noisy).run().stand().values()
        assert [repeats_of(trial) for trial in outcome.trials] == [3] * 4


class TestResuming:
    """Searches that are killed between two trials, or between a result and its decision."""

    @pytest.mark.slow
    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_killed_search_trains_the_same_and_nothing_twice(self, read_file, drive, store, tmp_path, workers):
        sweep, moments, trained = read_file(TPE, REPEATED), random.Random(workers), []
        for _ in range(12):
            driver = drive(sweep, noisy, workers=workers)
            for _ in range(moments.randrange(8)):
                while len(driver.running) < workers and driver.start():
                    pass
                if driver.running and moments.random() < 0.8:
                    driver.end(next(iter(driver.running)))
                elif driver.running:
                    driver.trainer.finish(next(iter(driver.running.values())))
                    break
            trained += driver.trainer.trained
        driver = drive(sweep, noisy, workers=workers).run()
        assert len(set(trained + driver.trainer.trained)) == 1 + 3 * 12
        assert {outcome.trainings for outcome in driver.stand().values()} == {12}
        assert driver.board.unfinished == 0
        if workers == 1:
            again = told(driver)
            store.__init__(tmp_path / "undisturbed")
            assert told(drive(sweep, noisy).run()) == again

    def test_a_seed_that_an_earlier_driver_started_is_trained_and_counted(self, baseline_alone, drive):
        sweep = baseline_alone(REPEATED)
        driver = drive(sweep)
        for _ in range(2):
            driver.start()
            driver.end(next(iter(driver.running)))
        driver.start()
        after = drive(sweep)
        assert after.start()
        assert after.handed_out == [driver.handed_out[-1]]
        assert len({key.partition("-")[0] for key in driver.handed_out}) == 1
        after.end(after.handed_out[0])
        after.run()
        assert len({*driver.handed_out, *after.handed_out}) == 12


class TestPlan:
    """The plan and the words of a search with repeats."""

    def test_each_seed_is_a_trial_of_the_plan(self, baseline_alone, store, drive):
        sweep = baseline_alone(REPEATED)
        driver = drive(sweep, noisy)
        for done in range(1, 6):
            driver.start()
            driver.end(next(iter(driver.running)))
            plan = search_plan(sweep, store)
            tried = [trial for trial in plan.trials if trial.role == "search"]
            assert len(missing(plan, store)) == len(tried) - done
            assert sum(number for trial, number in plan.coming if trial.role == "search") == 12 - len(tried)
        driver.run()
        plan = search_plan(sweep, store)
        assert Counter(trial.role for trial in plan.trials) == {"search": 12, "result": 4}
        first = [trial for trial in plan.trials if trial.role == "search"][:3]
        assert [str(trial).rpartition("trial 0, ")[2] for trial in first] == ["seed 2", "seed 3", "seed 4"]
        confirmed = next(trial.confirmed for trial in plan.trials if trial.confirmed)
        assert confirmed.budget.startswith("12 trials by random with up to 3 seeds per setting, scored by validation")
        assert confirmed.tried == "12 complete, 0 pruned, 0 failed"

    def test_the_table_counts_settings_and_trials(self, baseline_alone, drive):
        (outcome,) = drive(baseline_alone(REPEATED), noisy).run().stand().values()
        console = Console(width=200)
        with console.capture() as captured:
            console.print(search_table([outcome]))
        text = captured.get()
        assert text.split()[:4] == ["study", "settings", "trials", "pruned"]
        assert f"baseline/resnet8 {len(outcome.trials)} 12 0 0" in " ".join(text.split())
        assert f"best of baseline/resnet8, trial {outcome.best[0].number} (mean of 3 seeds): recipe." in text
        assert "Equal budgets: each method had 12 trials by random with up to 3 seeds per setting" in text
