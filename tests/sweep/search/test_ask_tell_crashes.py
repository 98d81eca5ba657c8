"""Searches whose driver is killed at random moments, without Ray and without training."""

import random
from pathlib import Path

import optuna
import pytest
from exeunt.sweep.search import Tuning
from exeunt.sweep.search.study_summary import KEY
from optuna.trial import TrialState

from .searches import BUDGET, SMALL, STOPPING, states

pytestmark = pytest.mark.usefixtures("hasty", "strict")


def suggested(driver):
    """Return the settings that each study of a search has tried, in order."""
    return {method: [trial.params for trial in outcome.trials] for method, outcome in driver.stand().items()}


class TestCrashes:
    """Searches that a new driver resumes after the first was killed."""

    class Killed(BaseException):
        """Exception that the product does not catch."""

    def crash_at(self, monkeypatch, chances):
        """Raise `Killed` at a random access to the studies or the store."""
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

    @pytest.mark.parametrize(
        "seed", [pytest.param(seed, marks=pytest.mark.slow if seed < 12 else pytest.mark.nightly) for seed in range(30)]
    )
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
        for outcome in driver.stand().values():
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
        outcome = after.stand()["baseline"]
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
        assert [trial.user_attrs[KEY] for trial in after.stand()["baseline"].trials][:3] == list(begun.values())
        assert len(after.handed_out) == BUDGET

    @pytest.mark.slow
    def test_one_at_a_time_it_suggests_what_it_would_have_suggested(self, read_file, drive, store, tmp_path):
        """The sampler is TPE, whose suggestions depend on earlier trials."""
        sweep = read_file(("sampler: random", "sampler: tpe"), ("budget: 6", "budget: 14"))
        for interrupted in range(1, 40, 3):
            driver = drive(sweep)
            for _ in range(interrupted % 7):
                if driver.start():
                    driver.end(next(iter(driver.running)))
        again = suggested(drive(sweep).run())
        store.__init__(tmp_path / "undisturbed")
        assert again == suggested(drive(sweep).run())

    @pytest.mark.slow
    @pytest.mark.parametrize("sampler", ["random", "tpe", "cmaes", "nsga2"])
    def test_cut_off_between_two_values_it_suggests_what_it_would_have_suggested(
        self, sampler, read_file, drive, store, tmp_path, monkeypatch
    ):
        sweep = read_file(("sampler: random", f"sampler: {sampler}"), ("budget: 6", "budget: 12"))
        suggest_float = optuna.Trial.suggest_float
        deaths = set()

        def dying(trial, *args, **kwargs):
            value = suggest_float(trial, *args, **kwargs)
            if trial._trial_id not in deaths:
                deaths.add(trial._trial_id)
                raise self.Killed
            return value

        with monkeypatch.context() as patch:
            patch.setattr(optuna.Trial, "suggest_float", dying)
            while True:
                try:
                    again = suggested(drive(sweep).run())
                except self.Killed:
                    continue
                break
        assert len(deaths) == 3 * 12
        store.__init__(tmp_path / "undisturbed")
        assert again == suggested(drive(sweep).run())
