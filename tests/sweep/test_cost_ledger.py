"""Caps and price of a sweep in plan, status and report."""

import json

import pytest
from exeunt.specs import SpecError
from exeunt.store import DamagedFileError, Price
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.status import StatusReader


def priced(good, price="2.5 EUR"):
    """Return a sweep file with a price."""
    return good.replace("{cpu: 1}", f"{{cpu: 1, price: {price}}}")


@pytest.fixture
def spent(store):
    """Return a function that records epochs of a trial, each of half a device-hour."""

    def leave(trial, epochs):
        records = [{"epoch": n + 1, "time": 1e9, "seconds": 60.0, "device_seconds": 1800.0} for n in range(epochs)]
        with store.attempt(trial.key, "driver") as files:
            files.write_spec(trial.spec)
            files.write_history(records)

    return leave


@pytest.mark.parametrize(
    ("written", "price"),
    [
        ("2.5", Price(amount=2.5)),
        ("3", Price(amount=3.0)),
        ("0.40 EUR", Price(amount=0.4, currency="EUR")),
        ("12€", Price(amount=12.0, currency="€")),
    ],
)
def test_a_price_is_a_number_with_or_without_a_currency(read, good, written, price):
    sweep = read(priced(good, written))
    assert make_plan(sweep).price == price
    assert [trial.key for trial in sweep.trials] == [trial.key for trial in read(good).trials]


@pytest.mark.parametrize("written", ["-1", "EUR", ".inf", "true", "[1]", "2.5 EUR an hour", "'1,5'"])
def test_anything_else_is_refused_with_its_place(read, good, written):
    with pytest.raises(SpecError, match=r"resources\.price.*such as 2\.5 EUR"):
        read(priced(good, written))


def test_status_follows_caps_and_price_while_epochs_are_recorded(read, good, store, spent):
    plan = make_plan(read(priced(good)))
    store.save_sweep(plan)
    store.save_caps(plan.name, {"device-hours": 8.0})
    observer = StatusReader(store.plan(plan.name), store)
    cap, cost = observer.read().costs
    assert (cap, cost) == (
        "Cap: 0 of 8 device-hours used.",
        "Cost at 2.5 EUR per device-hour: 0.00 EUR spent, remaining: unknown.",
    )
    spent(plan.trials[0], 1)
    assert observer.read().costs[0] == "Cap: 0.5 of 8 device-hours used."
    spent(plan.trials[0], 2)
    cap, cost = observer.read().costs
    assert cap == "Cap: 1 of 8 device-hours used."
    assert cost.startswith("Cost at 2.5 EUR per device-hour: 2.50 EUR spent, remaining: ")
    assert observer.read().costs == StatusReader(plan, store).read().costs == (cap, cost)
    store.save_caps(plan.name, {})
    assert observer.read().costs == (cost,)


def test_plan_and_status_print_the_cost(tmp_path, good, read, run_on_store, store, spent):
    plan = make_plan(read(priced(good)))
    spent(plan.trials[0], 2)
    store.save_sweep(plan)
    shown = run_on_store("plan", tmp_path / "sweep.yaml", "--throughput", "1e9").out
    assert "Cost at 2.5 EUR per device-hour: 2.50 EUR spent, remaining: " in " ".join(shown.split())
    printed = json.loads(run_on_store("plan", tmp_path / "sweep.yaml", "--json").out)
    assert printed["price"].startswith("Cost at 2.5 EUR per device-hour: 2.50 EUR spent")
    assert "2.50 EUR spent" in run_on_store("status", plan.name).out


@pytest.mark.parametrize("content", ["{}", '{"format": 1, "limits": {"joules": "many"}}', "caps"])
def test_a_damaged_file_of_caps_is_reported_with_its_remedy(plan, store, content):
    store.save_sweep(plan)
    store.sweep_directory(plan.name).write("caps.json", content.encode())
    with pytest.raises(DamagedFileError, match=r"caps\.json.*Remove the file"):
        store.caps(plan.name)
