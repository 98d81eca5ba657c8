"""Sweep files with a search, replacements in them, and the states of trials."""

from exeunt.sweep.search import Outcome
from optuna.trial import TrialState

FILE = """\
name: tuned
dataset: digits
architectures: [resnet8]
seeds: [0, 1]
recipe: {base: fast, epochs: 3, batch_size: 64, crop: none, flip: false}
methods:
  baseline: {}
  kd: {teacher: resnet14}
  eed: {output_loss: kl}
search:
  budget: 6
  sampler: random
  recipe: {learning_rate: {low: 0.01, high: 0.5, log: true}}
  methods:
    kd: {temperature: {low: 1, high: 8}}
    eed: {temperature: {low: 1, high: 8}, feature_weight: [0, 1], exits: [all, "1"]}
"""
BUDGET, EPOCHS = 6, 3
SMALL = ("recipe: {learning_rate: {low: 0.01, high: 0.5, log: true}}", "recipe: {learning_rate: [0.1, 0.2]}")
"""Replacement with so few settings that suggestions repeat."""
STOPPING = ("seeds: [0, 1]", "seeds: [0, 1]\nstopping: {rule: asha, grace: 1, factor: 2}")
TAUGHT = """\
name: tuned
dataset: digits
architectures: [resnet8]
seeds: [0, 1]
recipe: {base: fast, epochs: 2, batch_size: 512}
methods:
  baseline: {}
  kd: {teacher: resnet14}
search:
  budget: 4
  recipe: {learning_rate: {low: 0.01, high: 0.5, log: true}}
  methods:
    kd: {temperature: {low: 1, high: 8}}
"""
"""Search of a student and the baseline with one teacher, which trains in seconds."""


def states(outcome: Outcome) -> list[TrialState]:
    """Return the states of all trials, in order."""
    return [trial.state for trial in outcome.trials]
