"""Searches with constraints, without Ray and without training."""

import pytest
from exeunt.store import TrialFiles
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.search import is_over
from exeunt.sweep.search.known_costs import KnownCosts
from exeunt.sweep.search.study_summary import IN_VAIN, REASON
from exeunt.sweep.terminal.search import search_table
from exeunt.training import DataSource, train
from optuna.trial import TrialState
from rich.console import Console

from .searches import TAUGHT, states

pytestmark = pytest.mark.usefixtures("hasty", "strict")


def constrained(name, comparison, sampler="tpe"):
    """Return the replacement of the sampler by one with a constraint."""
    return ("sampler: random", f"sampler: {sampler}\n  constraints: {{{name}: '{comparison}'}}")


def with_costs(driver):
    """Return the driver, whose trials record the costs of their networks."""
    finish, costs = driver.trainer.finish, KnownCosts()

    def finish_with_costs(spec):
        report = finish(spec)
        files = driver.store.trial(spec.key)
        result = files.result()
        files.write_result(result | {"metrics": result["metrics"] | costs.of(spec)})
        return report

    driver.trainer.finish = finish_with_costs
    return driver


def text_of(driver):
    """Return the table of a search on one line."""
    console = Console(width=300)
    with console.capture() as captured:
        console.print(search_table(driver.stand().values()))
    return " ".join(captured.get().split())


class TestKnownCosts:
    """Constraints on costs, which are known before the training. Two exits add 55% to the parameters."""

    @pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
    def test_settings_that_violate_one_are_not_trained_and_cost_nothing(self, read_file, drive, sampler):
        driver = with_costs(drive(read_file(constrained("parameters", "<= 140%", sampler)))).run()
        outcome = driver.stand()["eed"]
        untrained = [trial for trial in outcome.trials if trial.params["exits"] == "all"]
        assert (outcome.untrained, outcome.trainings, outcome.is_full) == (len(untrained), 6, True)
        assert untrained
        for trial in untrained:
            assert trial.state == TrialState.PRUNED
            assert trial.constraints == {"parameters <= 140%": pytest.approx((120846 / 77754 - 1.4) / 1.4)}
        assert outcome.tried == "6 complete, 0 pruned, 0 failed"
        assert outcome.best[0].params["exits"] == "1"
        assert len(driver.handed_out) == 1 + 3 * 6
        assert driver.board.unfinished == 0
        assert f"eed/resnet8: {len(untrained)} setting" in text_of(driver)

    def test_gp_learns_from_trained_settings_alone_so_all_are_trained(self, read_file, drive):
        driver = with_costs(drive(read_file(constrained("parameters", "<= 140%", "gp")))).run()
        outcome = driver.stand()["eed"]
        assert states(outcome) == [TrialState.COMPLETE] * 6
        assert {trial.params["exits"] for trial in outcome.trials} == {"all", "1"}
        feasible = [trial for trial in outcome.trials if trial.params["exits"] == "1"]
        assert outcome.best == (max(feasible, key=lambda trial: trial.values),)

    def test_a_search_without_feasible_settings_ends_and_says_so(self, baseline_alone, drive):
        driver = drive(baseline_alone(constrained("final/parameters", "<= 1k")), workers=2).run()
        outcome = driver.stand()["baseline"]
        assert (len(outcome.trials), outcome.trainings, outcome.best) == (IN_VAIN, 0, ())
        assert is_over([outcome])
        assert driver.handed_out == []
        assert driver.board.unfinished == 0
        assert "baseline/resnet8: no setting satisfied all constraints" in text_of(driver)
        again = drive(baseline_alone(constrained("final/parameters", "<= 1k"))).run()
        assert len(again.stand()["baseline"].trials) == IN_VAIN

    def test_they_are_those_that_a_trial_records(self, tmp_path):
        (tmp_path / "sweep.yaml").write_text(TAUGHT.replace("kd: {teacher: resnet14}", "eed: {}").replace("kd", "eed")
                                             .replace("temperature: {low: 1, high: 8}", "feature_weight: [0, 1]")
                                             .replace("epochs: 2", "epochs: 1"))  # fmt: skip
        search = read_sweep(tmp_path / "sweep.yaml").search
        trial = search.trial(search.spaces[1], {})
        metrics = train(trial, TrialFiles(tmp_path / "trial"), source=DataSource())["metrics"]
        assert {name: value for name, value in metrics.items() if name.startswith("cost/")} == KnownCosts().of(trial)


class TestMeasured:
    """Constraints on metrics of the validation images."""

    def test_the_best_of_those_that_satisfy_it_is_confirmed(self, baseline_alone, drive):
        driver = drive(baseline_alone(constrained("validation/final/top1", "<= 85"), ("budget: 6", "budget: 12"))).run()
        outcome = driver.stand()["baseline"]
        assert states(outcome) == [TrialState.COMPLETE] * 12
        values = [trial.values[0] for trial in outcome.trials]
        assert max(values) > 85 >= outcome.best[0].values[0] == max(value for value in values if value <= 85)

    def test_with_repeats_the_mean_satisfies_it(self, baseline_alone, drive):
        repeats = ("budget: 6", "budget: 9\n  repeats: 3")
        means = constrained("validation/final/top1", "<= 85")
        driver = drive(baseline_alone(means, repeats), lambda spec: 70.0 + 7 * spec.seed).run()
        outcome = driver.stand()["baseline"]
        assert [trial.constraints for trial in outcome.trials] == [{"validation/final/top1 <= 85": (91 - 85) / 85}] * 3
        assert (outcome.best, outcome.is_infeasible, outcome.untrained) == ((), True, 0)

    def test_a_result_without_the_metric_failed(self, baseline_alone, drive):
        driver = drive(baseline_alone(constrained("validation/final/ece", "<= 0.05"))).run()
        for trial in driver.stand()["baseline"].trials:
            assert trial.user_attrs[REASON] == "the result lacks validation/final/ece"
