"""Whole searches without Ray and without training: `Tuning` as Ray Tune drives it, on a real store and real studies."""

import random
from collections import Counter

import optuna
import pytest
from exeunt.sweep.search import is_over
from exeunt.sweep.search.study_summary import KEY, REASON, SECONDS
from optuna.trial import TrialState

from .searches import BUDGET, EPOCHS, SMALL, STOPPING, states

pytestmark = pytest.mark.usefixtures("hasty", "strict")
UNFIT = (
    "learning_rate: {low: 0.01, high: 0.5, log: true}",
    "accumulation: {low: 1, high: 16}, batch_size: {low: 2, high: 64}",
)
"""Replacement with ranges whose values are valid only in some combinations."""


class TestBudgets:
    """All studies get the same budget."""

    @pytest.mark.parametrize("workers", [1, 2, 5])
    def test_each_study_ends_with_exactly_the_budget_and_all_advance_at_the_same_pace(self, read_file, drive, workers):
        driver = drive(read_file(), workers=workers)
        turns = random.Random(workers)

        def turn(names):
            teacher_is_done = not any(space.teacher and space.teacher not in driver.queue._done
                                      for space in driver.tuning._spaces)  # fmt: skip
            if teacher_is_done:
                taught = {space.space.name: space.used for space in driver.tuning._spaces}
                paces.append(max(taught.values()) - min(taught.values()))
            return turns.choice(names)

        paces: list[float] = []
        driver.run(turn)
        assert paces[-1] == 0
        assert all(pace <= max(1, workers) for pace in paces[-2 * BUDGET :])
        for outcome in driver.stand().values():
            assert [trial.number for trial in outcome.trials] == list(range(BUDGET))
            assert states(outcome) == [TrialState.COMPLETE] * BUDGET
            assert outcome.is_full
        assert len(driver.handed_out) == len(set(driver.handed_out)) == 1 + 3 * BUDGET
        assert driver.board.counts == "19 done, 0 running, 0 waiting, 0 failed"
        assert driver.board.unfinished == 0

    def test_those_that_need_no_teacher_advance_in_turn(self, read_file, drive):
        driver = drive(read_file())
        driver.run()
        methods = [driver.board.trials[key].configuration.method for key in driver.handed_out]
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
        stand = driver.stand()
        assert [len(stand[method].trials) for method in ("baseline", "kd", "eed")] == [BUDGET, 0, BUDGET]
        driver.run()
        assert is_over(driver.stand().values())

    def test_a_study_whose_teacher_fails_stays_empty_and_the_others_go_on(self, read_file, drive):
        driver = drive(read_file(), accuracy=lambda spec: "failed" if spec.architecture.name == "resnet14" else 50.0)
        driver.run()
        stand = driver.stand()
        assert [len(stand[method].trials) for method in ("baseline", "kd", "eed")] == [BUDGET, 0, BUDGET]
        assert not is_over(stand.values())
        again = drive(read_file())
        again.run()
        assert is_over(again.stand().values())
        assert again.handed_out[0] == again.tuning._spaces[1].teacher
        assert len(again.handed_out) == 1 + BUDGET

    def test_a_larger_budget_goes_on_where_the_smaller_one_ended(self, read_file, drive):
        drive(read_file()).run()
        more = drive(read_file(("budget: 6", "budget: 9"))).run()
        assert len(more.handed_out) == 3 * 3
        assert all(len(outcome.trials) == 9 for outcome in more.stand().values())
        less = drive(read_file(("budget: 6", "budget: 2"))).run()
        assert {less.board.trials[key].role for key in less.handed_out} == {"teacher", "result"}, "it confirms"
        assert is_over(less.stand().values())

    @pytest.mark.parametrize("workers", [1, 3])
    def test_a_budget_in_hours_is_used_up(self, read_file, drive, workers):
        driver = drive(read_file(("budget: 6", "budget: 4h")), workers=workers).run()
        trial_hours = EPOCHS * 600 / 3600
        for outcome in driver.stand().values():
            assert outcome.is_full
            assert 4 <= outcome.seconds / 3600 <= 4 + workers * trial_hours
            assert 8 <= len(outcome.trials) <= 8 + workers - 1
        assert driver.board.unfinished == 0

    def test_a_budget_in_hours_ends_where_every_trial_fails_before_its_first_epoch(self, baseline_alone, drive):
        sweep = baseline_alone(("budget: 6", "budget: 20s"), UNFIT)
        driver = drive(sweep, accuracy=lambda _: "failed")
        driver.trainer.records = lambda _: []
        driver.run(steps=50)
        outcome = driver.stand()["baseline"]
        assert set(states(outcome)) == {TrialState.FAIL}
        assert 1 < len(outcome.trials) <= 20
        assert outcome.is_full
        assert outcome.mostly_failed


class TestEqualSuggestions:
    """A study may suggest the same settings several times."""

    def test_two_at_once_train_once_and_both_are_told(self, baseline_alone, drive):
        driver = drive(baseline_alone(SMALL), workers=4).run()
        outcome = driver.stand()["baseline"]
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
        assert states(again.stand()["baseline"]) == [TrialState.COMPLETE] * BUDGET
        assert [trial.values for trial in again.stand()["baseline"].trials] == [
            trial.values for trial in first.stand()["baseline"].trials
        ]
        assert again.board.counts == "6 done, 0 running, 0 waiting, 0 failed"

    def test_what_was_tried_in_an_earlier_run_is_told_again_and_not_waited_for(self, baseline_alone, drive):
        drive(baseline_alone(SMALL)).run()
        more = drive(baseline_alone(SMALL, ("budget: 6", "budget: 9"))).run()
        assert more.handed_out == []
        assert states(more.stand()["baseline"]) == [TrialState.COMPLETE] * 9

    def test_one_that_failed_is_not_trained_again_in_this_run_and_told_twice(self, baseline_alone, drive):
        driver = drive(baseline_alone(SMALL), accuracy=lambda _: "failed").run()
        assert len(driver.handed_out) == 2
        assert states(driver.stand()["baseline"]) == [TrialState.FAIL] * BUDGET


class TestEnds:
    """Final states of trials in their studies."""

    def test_diverged_and_failed_trials_are_told_with_their_reason_and_never_as_values(self, baseline_alone, drive):
        kinds = {"diverged": "the loss is nan", "failed": "it broke"}

        def accuracy(spec):
            rate = spec.recipe.learning_rate
            return "diverged" if rate > 0.2 else "failed" if rate < 0.02 else 50.0

        driver = drive(baseline_alone(("budget: 6", "budget: 20")), accuracy=accuracy).run()
        outcome = driver.stand()["baseline"]
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
        driver.queue._back_off = 0.0
        finish, died = driver.trainer.finish, set()

        def dies_once(spec):
            if spec.key not in died:
                died.add(spec.key)
                return {"state": "running", "epoch": 1}
            return finish(spec)

        driver.trainer.finish = dies_once
        driver.run()
        assert states(driver.stand()["baseline"]) == [TrialState.COMPLETE] * BUDGET
        assert Counter(driver.handed_out).most_common()[-1][1] == 2

    def test_one_that_died_too_often_failed(self, baseline_alone, drive):
        driver = drive(baseline_alone(), accuracy=lambda _: "died").run()
        assert states(driver.stand()["baseline"]) == [TrialState.FAIL] * BUDGET

    @pytest.mark.parametrize("workers", [1, 3])
    def test_pruned_trials_are_told_so_with_what_they_measured_and_never_as_complete(
        self, baseline_alone, drive, workers
    ):
        driver = drive(baseline_alone(STOPPING, ("budget: 6", "budget: 12")), workers=workers).run()
        outcome = driver.stand()["baseline"]
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
        other_values = ("budget: 6", "budget: 6\n  seed: 5")  # a seed that suggests the better setting first
        first = drive(baseline_alone(STOPPING, SMALL, other_values)).run()
        again = drive(baseline_alone(STOPPING, SMALL, other_values, ("name: tuned", "name: other"))).run()
        assert again.handed_out == []
        assert states(again.stand()["baseline"]) == states(first.stand()["baseline"])
        assert TrialState.PRUNED in states(again.stand()["baseline"])

    def test_settings_that_do_not_fit_each_other_are_told_as_failed_with_the_rule(self, baseline_alone, drive):
        driver = drive(baseline_alone(UNFIT, ("budget: 6", "budget: 12"))).run()
        outcome = driver.stand()["baseline"]
        assert len(outcome.trials) == 12
        for trial in outcome.trials:
            fits = trial.params["recipe.batch_size"] >= 2 * trial.params["recipe.accumulation"]
            assert trial.state == (TrialState.COMPLETE if fits else TrialState.FAIL)
            assert fits or trial.user_attrs[REASON].startswith("`batch_size >= 2 * accumulation, since normalisation")
        assert 0 < outcome.count(TrialState.FAIL) < 12
        fitting = [trial for trial in outcome.trials if trial.state == TrialState.COMPLETE]
        assert set(driver.handed_out) == {trial.user_attrs[KEY] for trial in fitting}
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
        for trial in driver.stand()["baseline"].trials:
            assert trial.user_attrs[REASON] == "the result lacks validation/final/top1"


def dominates(one, other):
    return one[0] >= other[0] and one[1] <= other[1] and one != other


@pytest.mark.parametrize("sampler", ["random", "nsga2", "tpe"])
def test_two_objectives_have_the_front_that_counting_gives(baseline_alone, drive, sampler):
    two = ("sampler: random", f"sampler: {sampler}\n  objective: [final, final/multiply_adds]")
    ranges = ("{low: 0.01, high: 0.5, log: true}", "{low: 0.01, high: 0.5, log: true}, batch_size: {low: 8, high: 200}")
    driver = drive(baseline_alone(two, ranges, ("budget: 6", "budget: 24")), workers=2).run()
    outcome = driver.stand()["baseline"]
    values = {trial.number: trial.values for trial in outcome.trials}
    for trial in outcome.trials:
        rate, size = trial.params["recipe.learning_rate"], trial.params["recipe.batch_size"]
        assert trial.values == pytest.approx([90 - 100 * abs(rate - 0.1), 1000 * (rate + 0.001 * size)])
    front = {number for number, own in values.items() if not any(dominates(other, own) for other in values.values())}
    assert [trial.number for trial in outcome.best] == sorted(front)
    assert 1 < len(front) < 24


class TestTelling:
    """Studies in a database that loses replies or is unavailable."""

    def test_an_answer_that_is_lost_after_telling_is_no_failure(self, baseline_alone, drive, monkeypatch):
        tell, lost = optuna.Study.tell, set()

        def losing(study, number, *args, **kwargs):
            told = tell(study, number, *args, **kwargs)
            if number not in lost:
                lost.add(number)
                raise ConnectionError("the reply is lost")
            return told

        monkeypatch.setattr(optuna.Study, "tell", losing)
        monkeypatch.setattr("exeunt.sweep.search.studies.PAUSES", (0.0,))
        driver = drive(baseline_alone(STOPPING)).run()
        assert lost == set(range(BUDGET))
        assert not driver.shutdown.is_requested()
        assert is_over(driver.stand().values())

    def test_studies_that_stay_away_halt_the_sweep_and_the_next_one_tells_them(
        self, baseline_alone, drive, monkeypatch
    ):
        def away(*_, **__):
            raise ConnectionError("no server\nsecond line")

        sweep = baseline_alone()
        monkeypatch.setattr("exeunt.sweep.search.studies.PAUSES", (0.0,))
        driver = drive(sweep)
        driver.start()
        with monkeypatch.context() as gone:
            gone.setattr(optuna.Study, "tell", away)
            driver.end(next(iter(driver.running)))
            assert driver.shutdown.is_requested()
            assert "no server" in str(driver.shutdown.outcome())
            assert "second line" not in str(driver.shutdown.outcome())
            assert not driver.start()
        after = drive(sweep).run()
        assert len(after.handed_out) == BUDGET - 1
        assert is_over(after.stand().values())
