"""A search over a known function, compared with Optuna alone and with random search."""

import math
import statistics

import optuna
import pytest
from exeunt.sweep.search import Studies, outcomes
from optuna.trial import TrialState

from .searches import states

pytestmark = [pytest.mark.nightly, pytest.mark.usefixtures("hasty", "strict")]
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
    """Function that returns the best value that a search finds, in percent, with six settings as coordinates."""

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
