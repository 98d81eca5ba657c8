"""Caps on the cost of a sweep: comparable rows and a small overshoot at any cap."""

import json
import random
import re
from collections import Counter

import pytest
from exeunt.specs import SpecError
from exeunt.store import Store
from exeunt.sweep.cost_ledger import CostCaps, CostLedger, read_ledgers
from exeunt.sweep.execution.cost_cap import CostCap
from exeunt.sweep.execution.trial_queue import TrialQueue
from exeunt.sweep.find import row_of
from exeunt.sweep.planning.plan import make_plan, missing

ROWS = """\
name: rows
dataset: [digits, mnist]
architectures: [resnet8, resnet14]
seeds: [0, 1, 2, 3]
recipe: {base: fast, epochs: 5, batch_size: 512}
methods:
  baseline: {}
  kd: {teacher: [resnet14, resnet20]}
  eed: {output_loss: [mse, kl]}
"""
SLOTS = 6
CAPS = [round(random.Random(7).uniform(0.02, 1.1), 3) for _ in range(10)]


class SimulatedSweep:
    """Driver of a sweep whose epochs cost a random number of device-hours, around that of their multiply-adds."""

    def __init__(self, plan, seed):
        self.plan = plan
        self.random = random.Random(seed)
        self.trials = {trial.key: trial for trial in plan.trials}
        self.histories = {key: [] for key in self.trials}
        self.failed = set()
        self.whole = sum(trial.configuration.cost for trial in plan.trials) / 1e12

    def done(self):
        return {key for key, history in self.histories.items() if len(history) == 5}

    def used(self):
        return sum(record["device_seconds"] for history in self.histories.values() for record in history) / 3600

    def epoch(self, key):
        spread = self.random.choice([0.3, 1.0, 1.0, 3.0])
        seconds = 3600 * spread * self.trials[key].configuration.cost / 5e12
        self.histories[key].append({"epoch": len(self.histories[key]) + 1, "seconds": 0.0, "device_seconds": seconds})
        return self.histories[key][-1]

    def run(self, limit, *, fails=0.0):
        """Run until the cap or the end; return the overshoot that is allowed: an epoch of each running trial."""
        ledger = CostLedger("device-hours")
        for key, history in self.histories.items():
            for record in history:
                ledger.record(self.trials[key], record)
        left = [trial for trial in self.plan.trials if trial.key not in self.done() | self.failed]
        cap = CostCap(left, {"device-hours": limit}, {"device-hours": ledger})
        queue = TrialQueue(
            left, self.done(), admission=cap, shutting_down=cap.is_passed, give_up=lambda key, _: self.failed.add(key)
        )
        running, allowed = [], 0.0
        while True:
            while len(running) < SLOTS and not isinstance(suggestion := queue.suggest(), str):
                running.append(suggestion.trial.key)
            if not running:
                return allowed
            key = self.random.choice(running)
            record = self.epoch(key)
            cap.record(key, record)
            allowed += record["device_seconds"] / 3600 if cap.is_passed() else 0.0
            if len(self.histories[key]) == 5:
                queue.ended(key, {"state": "done"})
            elif self.random.random() < fails:
                self.failed.add(key)
                queue.ended(key, {"state": "failed"})
            elif not cap.is_passed():
                continue
            running.remove(key)

    def seeds(self, keys):
        """Return the number of these trials by method, for each row."""
        seeds = {}
        for trial in self.plan.trials:
            if trial.role == "result":
                row = seeds.setdefault((trial.configuration.dataset, row_of(trial)), Counter())
                row[trial.label] += trial.key in keys
        return seeds.values()


@pytest.fixture
def rows(read):
    return make_plan(read(ROWS))


@pytest.mark.parametrize("number", range(10))
def test_at_any_cap_the_methods_of_a_row_have_the_same_seeds(read, number):
    order = ("breadth-first", "file", "cheap-first")[number % 3]
    sweep = SimulatedSweep(make_plan(read(f"{ROWS}order: {order}\n")), seed=number)
    for limit in (CAPS[number] * sweep.whole, CAPS[number - 1] * sweep.whole, 2 * sweep.whole):
        before = sweep.used()
        overshoot = sweep.run(limit, fails=0.02 * (number % 2))
        ended = sweep.seeds(sweep.done() | sweep.failed)  # a failed teacher ends all seeds of its students
        for done, ended_of_row in zip(sweep.seeds(sweep.done()), ended, strict=True):
            assert max(done.values()) - min(ended_of_row.values()) <= 1, (done, ended_of_row)
        assert sweep.used() <= max(before, limit + overshoot + 1e-9)
    sweep.run(100 * sweep.whole)
    assert sweep.done() | sweep.failed == sweep.histories.keys()


def test_a_cap_is_used_as_far_as_whole_rounds_of_seeds_fit(rows):
    sweep = SimulatedSweep(rows, seed=0)
    sweep.random.choice = lambda options: options[0] if isinstance(options[0], str) else 1.0
    sweep.run(0.6 * sweep.whole)
    assert 0.3 * sweep.whole < sweep.used() <= 0.6 * sweep.whole
    assert not [key for key, history in sweep.histories.items() if 0 < len(history) < 5]
    for seeds in sweep.seeds(sweep.done()):
        assert len(set(seeds.values())) == 1
    trained = sweep.used()
    sweep.run(0.6 * sweep.whole)
    assert sweep.used() == trained


def test_a_teacher_whose_students_are_completed_still_starts(rows):
    teacher = next(trial for trial in rows.trials if trial.role == "teacher")
    cap = CostCap([teacher], {"joules": 1.0}, {"joules": CostLedger("joules")})
    assert cap.admits(teacher)


def test_a_passed_cap_admits_nothing_and_says_what_is_used_and_left(rows):
    first = rows.trials[0]
    ledger = CostLedger("joules")
    cap = CostCap(rows.trials, {"joules": 10.0}, {"joules": ledger})
    assert cap.admits(first)
    cap.record(first.key, {"epoch": 1, "seconds": 1.0, "joules": 12.0})
    assert cap.is_passed()
    assert not cap.admits(first)
    end = cap.reached()
    assert str(end).startswith(f"Cost cap reached: 12 of 10 joules used. Left: {len(rows.trials)} trials, about ")
    assert end.sufficient.max_joules > 12 + ledger.left(rows.trials)


def test_an_epoch_that_is_trained_again_counts_once_and_one_without_energy_is_not_measured(rows):
    first, ledger = rows.trials[0], CostLedger("joules")
    ledger.record(first, {"epoch": 1, "seconds": 1.0})
    assert (ledger.used, ledger.left([first])) == (0.0, None)
    for joules in (3.0, 4.0):
        ledger.record(first, {"epoch": 2, "seconds": 1.0, "joules": joules})
    assert ledger.used == 4.0
    assert ledger.left([first]) == pytest.approx(3.0 * 3)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("inf"), float("nan")])
def test_a_cap_is_a_positive_number(limit):
    with pytest.raises(SpecError, match="max_device_hours is above 0"):
        CostCaps(max_device_hours=limit)


@pytest.mark.slow
def test_a_capped_sweep_stops_after_an_epoch_and_the_printed_command_completes_it(tmp_path, exeunt):
    file, storage = tmp_path / "capped.yaml", tmp_path / "storage"
    file.write_text(
        "name: capped\ndataset: digits@10%\narchitectures: [resnet8]\nseeds: [0, 1]\n"
        "recipe: {base: fast, epochs: 4, batch_size: 64}\nmethods: {baseline: {}, eed: {}}\n"
    )
    words = "sweep", file, "--storage", storage, "--max-concurrent", 1
    energy = exeunt(*words, "--max-joules", 1e9)
    if energy.status:  # without a counter of the CPU's energy
        assert energy.status == 2
        assert "--max-joules 1e+09: the energy cannot be measured: " in energy.err
        assert not list(storage.glob("trials/*/history.jsonl"))
    end = exeunt(*words, "--max-device-hours", 1e-7)
    assert end.status == 4, end
    line = end.out.splitlines()[-1]
    assert re.match(
        r"Cost cap reached: \S+ of 1e-07 device-hours used\. Left: 4 trials, about \S+ device-hours\. ", line
    )
    (history,) = storage.glob("trials/*/history.jsonl")
    assert [json.loads(record)["epoch"] for record in history.read_text().splitlines()] == [1]
    assert list(history.parent.glob("checkpoint-*"))
    assert exeunt(*words, "--max-device-hours", 1e-7).status == 4
    assert len(history.read_text().splitlines()) == 1
    enough = line.rpartition("--max-device-hours ")[2]
    again = exeunt(*words, "--max-device-hours", 20 * float(enough))
    assert again.status == 0, again
    store = Store(storage)
    plan = store.plan("capped")
    assert not missing(plan, store)
    ledger = read_ledgers(plan, store, ["device-hours"])["device-hours"]
    assert ledger.used == pytest.approx(sum(store.trial(t.key).result()["seconds"] for t in plan.trials) / 3600)
