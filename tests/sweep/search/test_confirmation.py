"""The plan of a search before, during and after it, and its final trials."""

import io
from collections import Counter

import optuna
import pytest
from exeunt.sweep.planning.plan import missing
from exeunt.sweep.search import Studies, is_over, outcomes, search_plan
from exeunt.sweep.search.study_summary import Outcome, settings
from exeunt.sweep.terminal.search import search_table
from optuna.trial import TrialState
from rich.console import Console

pytestmark = pytest.mark.usefixtures("hasty")
BUDGET = 6
TWO = ("sampler: random", "sampler: random\n  objective: [final, final/multiply_adds]")


def roles(plan):
    return Counter(trial.role for trial in plan.trials)


def coming(plan):
    return [(trial.role, trial.configuration.method, number) for trial, number in plan.coming]


class TestPlan:
    """The trials in the plan of a search."""

    def test_before_the_search_it_knows_the_teacher_and_what_is_to_come(self, read_file, store):
        plan = search_plan(read_file(), store)
        (teacher,) = plan.trials
        assert (teacher.role, teacher.configuration.architecture, teacher.spec["protocol"]) == (
            "teacher",
            "resnet14",
            "tuning",
        )
        assert coming(plan) == [
            ("search", "baseline", 6), ("search", "kd", 6), ("search", "eed", 6),
            ("result", "baseline", 2), ("teacher", "baseline", 1), ("result", "kd", 2), ("result", "eed", 2),
            ("result", "baseline", 2), ("result", "kd", 2), ("result", "eed", 2),
        ]  # fmt: skip
        assert not (store.location and Studies(plan.sweep, store).exist()), "planning opens no study"

    @pytest.mark.slow
    def test_during_the_search_it_knows_what_was_tried_and_confirms_nothing(self, read_file, store, drive):
        sweep = read_file()
        driver = drive(sweep)
        for done in range(1, 19):
            driver.start()
            driver.end(next(iter(driver.running)))
            plan = search_plan(sweep, store)
            assert roles(plan) == {"teacher": 1, "search": done - 1} if done > 1 else {"teacher": 1}
            assert [trial.order for trial in plan.trials] == list(range(done))
            assert sum(number for trial, number in plan.coming if trial.role == "search") == 18 - (done - 1)
            assert sum(number for trial, number in plan.coming if trial.role == "result") == 12
        assert not is_over(outcomes(Studies(sweep, store)))
        driver.run()
        assert is_over(outcomes(Studies(sweep, store)))

    def test_a_trial_that_runs_keeps_the_search_from_being_over(self, read_file, store, drive):
        sweep = read_file()
        driver = drive(sweep, workers=2)
        while len(driver.handed_out) < 1 + 3 * BUDGET:
            driver.start()
            if len(driver.running) > 1:
                driver.end(next(iter(driver.running)))
        assert sum(len(outcome.trials) for outcome in outcomes(Studies(sweep, store))) == 3 * BUDGET
        plan = search_plan(sweep, store)
        assert roles(plan) == {"teacher": 1, "search": 18}
        assert coming(plan)[0][0] == "result"
        driver.run()
        assert roles(search_plan(sweep, store))["result"] == 12

    def test_after_the_search_the_best_and_the_default_are_confirmed_with_the_seeds_of_the_file(
        self, read_file, store, drive
    ):
        sweep = read_file()
        drive(sweep).run()
        plan = search_plan(sweep, store)
        assert plan.coming == ()
        assert roles(plan) == {"teacher": 2, "search": 18, "result": 12}
        results = [trial for trial in plan.trials if trial.role == "result"]
        assert Counter((trial.configuration.method, trial.confirmed.tuning, trial.seed) for trial in results) == {
            (method, tuning, seed): 1
            for method in ("baseline", "kd", "eed")
            for tuning in ("default", "tuned")
            for seed in (0, 1)
        }
        for trial in results:
            assert (trial.spec["protocol"], trial.spec["validation"]) == ("final", 0)
            assert trial.confirmed.tried == "6 complete, 0 pruned, 0 failed"
            assert trial.confirmed.budget == sweep.search.record(sweep.name).effort
            assert trial.confirmed.budget.startswith("6 trials by random, scored by validation top-1 of the final exit")
        orders = {trial.key: trial.order for trial in plan.trials}
        assert sorted(orders.values()) == list(range(32))
        assert all(orders[key] < trial.order for trial in results for key in trial.depends_on)
        teachers = {trial.key: trial.spec["protocol"] for trial in plan.trials if trial.role == "teacher"}
        assert sorted(teachers.values()) == ["final", "tuning"]
        needed = {(trial.role, teachers[key]) for trial in plan.trials for key in trial.depends_on}
        assert needed == {("search", "tuning"), ("result", "final")}, "one teacher for the search, one for the results"

    def test_a_method_that_had_more_trials_under_an_earlier_budget_is_said_to_have_had_them(
        self, read_file, store, drive
    ):
        driver = drive(read_file())
        while len(driver.handed_out) < 1 + 3 * 4 + 1:
            driver.start()
            driver.end(next(iter(driver.running)))
        sweep = read_file(("budget: 6", "budget: 4"))
        confirmed = {trial.configuration.method: trial.confirmed for trial in search_plan(sweep, store).trials}
        had = [trial.budget.partition(",")[0] for trial in confirmed.values() if trial]
        assert sorted(had) == ["4 trials by random", "4 trials by random", "5 trials by random"]
        console = Console(width=1000, file=io.StringIO())
        console.print(search_table(outcomes(Studies(sweep, store))))
        said = console.file.getvalue()
        assert "Equal budgets" not in said
        (differ,) = [line for line in said.splitlines() if line.startswith("Budgets differ: ")]
        assert differ.count(" had 4 trials by random, scored by ") == 2
        assert differ.count(" had 5 trials by random, scored by ") == 1

    def test_what_is_confirmed_are_the_trials_of_a_file_with_these_settings(self, read_file, store, drive):
        sweep = read_file()
        drive(sweep).run()
        plan = search_plan(sweep, store)
        keys = {(trial.configuration.method, trial.confirmed.tuning): set() for trial in plan.trials if trial.confirmed}
        for trial in plan.trials:
            if trial.confirmed:
                keys[trial.configuration.method, trial.confirmed.tuning].add(trial.key)
        plain = read_file().text.partition("search:")[0]
        default = read_file(text=plain)
        for method in ("baseline", "kd", "eed"):
            assert keys[method, "default"] == {trial.key for trial in default.trials if trial.method.name == method}
        stand = {outcome.space.default.method.name: outcome for outcome in outcomes(Studies(sweep, store))}
        best = {name: max(outcome.trials, key=lambda trial: trial.values[0]) for name, outcome in stand.items()}
        rate, eed = best["baseline"].params["recipe.learning_rate"], best["eed"].params
        tuned = read_file(("batch_size: 64", f"batch_size: 64, learning_rate: {rate!r}"), text=plain)
        assert keys["baseline", "tuned"] == {trial.key for trial in tuned.trials if trial.method.name == "baseline"}
        rate = eed["recipe.learning_rate"]
        section = (
            f"temperature: {eed['temperature']!r}, feature_weight: {eed['feature_weight']}, exits: '{eed['exits']}'"
        )
        pairs = (
            ("batch_size: 64", f"batch_size: 64, learning_rate: {rate!r}"),
            ("output_loss: kl", f"output_loss: kl, {section}"),
        )
        tuned = read_file(*pairs, text=plain)
        assert keys["eed", "tuned"] == {trial.key for trial in tuned.trials if trial.method.name == "eed"}

    def test_exits_keep_the_words_that_they_are_tried_with(self, read_file, store, drive):
        sweep = read_file(('exits: [all, "1"]', 'exits: ["50%", "1,2"]'))
        drive(sweep).run()
        plan = search_plan(sweep, store)
        placements = {"50%": "1", "1,2": "all", "all": "all", "none": "none"}
        assert all(
            plan.specs[trial.configuration.id].exits.placement == placements[trial.configuration.exits]
            for trial in plan.trials
        )
        found = {outcome.space.default.method.name: outcome.best[0] for outcome in outcomes(Studies(sweep, store))}
        of_eed = [trial for trial in plan.trials if trial.configuration.method == "eed"]
        assert {trial.configuration.exits for trial in of_eed if trial.role == "search"} <= {"50%", "1,2"}
        confirmed = {trial.confirmed.tuning: trial.configuration.exits for trial in of_eed if trial.confirmed}
        assert confirmed == {"default": "all", "tuned": found["eed"].params["exits"]}

    def test_a_confirmation_that_ended_is_not_trained_again(self, read_file, store, drive):
        sweep = read_file()
        drive(sweep).run()
        confirmed = drive(sweep).run()
        assert Counter(confirmed.board.trials[key].role for key in confirmed.handed_out) == {"teacher": 1, "result": 12}
        assert drive(sweep).run().handed_out == []
        assert missing(search_plan(sweep, store), store) == []

    def test_nothing_is_confirmed_before_every_study_has_its_budget(self, read_file, store, drive):
        sweep = read_file()
        driver = drive(sweep, accuracy=lambda spec: "failed" if spec.architecture.name == "resnet14" else 50.0)
        driver.run()
        plan = search_plan(sweep, store)
        assert roles(plan) == {"teacher": 1, "search": 12}
        assert ("search", "kd", 6) in coming(plan)

    def test_a_larger_budget_takes_the_confirmation_back(self, read_file, store, drive):
        drive(read_file()).run()
        plan = search_plan(read_file(("budget: 6", "budget: 7")), store)
        assert "result" not in roles(plan)
        assert coming(plan)[:3] == [("search", "baseline", 1), ("search", "kd", 1), ("search", "eed", 1)]

    def test_a_budget_in_hours_announces_no_number_of_trials(self, read_file, store):
        plan = search_plan(read_file(("budget: 6", "budget: 4h")), store)
        assert {role for role, _, _ in coming(plan)} == {"result", "teacher"}

    def test_a_trial_without_all_of_its_values_is_not_planned(self, read_file, store):
        sweep = read_file()
        studies = Studies(sweep, store)
        studies.of(sweep.search.spaces[0]).ask()
        assert roles(search_plan(sweep, store)) == {"teacher": 1}


class TestLabels:
    """Labels of the settings of final trials."""

    @pytest.fixture
    def labels(self, read_file, store, drive):
        def of(*pairs):
            text = read_file().text
            lines = [line for line in text.splitlines() if "kd:" not in line and "eed:" not in line]
            sweep = read_file(*pairs, text="\n".join(lines).replace("\n  methods:", "") + "\n")
            drive(sweep).run()
            plan = search_plan(sweep, store)
            results = [trial for trial in plan.trials if trial.role == "result"]
            recipes = {trial.confirmed.tuning: plan.specs[trial.configuration.id].recipe for trial in results}
            return recipes, outcomes(Studies(sweep, store))[0]

        return of

    def test_settings_that_turn_out_to_be_the_files_own_are_both(self, labels):
        found, _ = labels(("{low: 0.01, high: 0.5, log: true}", "[0.2, 0.5]"))
        assert {tuning: recipe.learning_rate for tuning, recipe in found.items()} == {"default and tuned": 0.2}

    def test_others_are_told_apart(self, labels):
        found, _ = labels(("{low: 0.01, high: 0.5, log: true}", "[0.1, 0.2, 0.5]"))
        assert {tuning: recipe.learning_rate for tuning, recipe in found.items()} == {"default": 0.2, "tuned": 0.1}

    def test_those_of_a_front_have_the_numbers_of_their_trials_and_each_stands_there_once(self, labels):
        found, outcome = labels(
            TWO, ("{low: 0.01, high: 0.5, log: true}", "[0.05, 0.1, 0.2]"), ("budget: 6", "budget: 12")
        )
        rates = {f"tuned, trial {trial.number}": trial.params["recipe.learning_rate"] for trial in outcome.best}
        assert sorted(rates.values()) == [0.05, 0.1]
        assert {tuning: recipe.learning_rate for tuning, recipe in found.items()} == {"default": 0.2, **rates}
        firsts = [next(t.number for t in outcome.trials if t.params == trial.params) for trial in outcome.best]
        assert [trial.number for trial in outcome.best] == firsts

    def test_one_of_a_front_may_be_the_default(self, labels):
        found, _ = labels(TWO, ("{low: 0.01, high: 0.5, log: true}", "[0.2, 0.3]"))
        assert [tuning.partition(" and ")[0] for tuning in found] == ["default"]


class TestOutcome:
    """State of a study."""

    @pytest.fixture
    def outcome(self, read_file):
        search = read_file().search

        def of(complete=0, pruned=0, failed=0, running=0, seconds=0.0, search=search):
            states = {
                TrialState.COMPLETE: complete,
                TrialState.PRUNED: pruned,
                TrialState.FAIL: failed,
                TrialState.RUNNING: running,
            }
            trials = tuple(
                optuna.trial.create_trial(
                    state=state,
                    value=1.0 if state == TrialState.COMPLETE else None,
                    user_attrs={"seconds": seconds} if state.is_finished() else {},
                )
                for state, number in states.items()
                for _ in range(number)
            )
            space, record = search.spaces[0], search.record("tuned")
            return Outcome(name=space.name, space=space, search=record, trials=trials, best=())

        return of

    def test_it_says_what_was_tried(self, outcome):
        assert outcome(complete=4, pruned=1, failed=2, running=3).tried == "4 complete, 1 pruned, 2 failed"
        assert outcome().tried == "0 complete, 0 pruned, 0 failed"

    @pytest.mark.parametrize(
        ("complete", "pruned", "failed", "mostly"),
        [(0, 0, 0, False), (3, 0, 3, True), (2, 2, 3, False), (2, 1, 3, True), (0, 0, 1, True), (6, 0, 0, False)],
    )
    def test_half_of_the_trials_is_mostly(self, outcome, complete, pruned, failed, mostly):
        assert outcome(complete=complete, pruned=pruned, failed=failed).mostly_failed == mostly

    def test_it_is_full_when_all_have_ended_however(self, outcome):
        assert outcome(complete=2, pruned=2, failed=2).is_full
        assert not outcome(complete=5).is_full
        assert not outcome(complete=6, running=1).is_full

    def test_hours_are_full_when_they_are_used_up(self, outcome, read_file):
        hours = read_file(("budget: 6", "budget: 1h")).search
        assert not outcome(complete=1, seconds=3599.0, search=hours).is_full
        assert outcome(complete=1, failed=1, seconds=1800.0, search=hours).is_full
        assert not outcome(complete=2, running=1, seconds=1800.0, search=hours).is_full

    def test_a_study_without_a_complete_trial_has_no_best_and_confirms_the_default_alone(self, read_file, store, drive):
        sweep = read_file()
        driver = drive(sweep, accuracy=lambda spec: "diverged" if spec.method.name == "eed" else 50.0).run()
        stand = {outcome.space.default.method.name: outcome for outcome in outcomes(Studies(sweep, store))}
        assert stand["eed"].best == ()
        assert stand["eed"].mostly_failed
        plan = search_plan(driver.sweep, store)
        labels = Counter(
            (trial.configuration.method, trial.confirmed.tuning) for trial in plan.trials if trial.confirmed
        )
        assert labels["eed", "default"] == 2
        assert labels["eed", "tuned"] == 0
        assert labels["kd", "tuned"] == 2
        (tried,) = {
            trial.confirmed.tried for trial in plan.trials if trial.confirmed and trial.configuration.method == "eed"
        }
        assert tried == "0 complete, 0 pruned, 6 failed"


def test_settings_are_written_for_people():
    values = {"temperature": 4.76912, "recipe.learning_rate": 1e-05, "exits": "all", "feature_weight": 0, "x": None}
    assert settings(values) == "temperature=4.769, recipe.learning_rate=1e-05, exits=all, feature_weight=0, x=None"
