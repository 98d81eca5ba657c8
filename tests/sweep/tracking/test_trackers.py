"""Trackers besides MLflow."""

import struct

import pytest
from exeunt.specs import SpecError
from exeunt.store import Plan
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.tracking import catalog
from exeunt.sweep.tracking.trackers import Trackers


@pytest.fixture
def tracked(read, good):
    return lambda tracking: make_plan(read(f"{good}tracking: {tracking}\n"))


def scalars(path):
    """Return the values in an event file: metric, step and value of each."""
    from tensorboardX.proto.event_pb2 import Event

    content, found = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        event = Event.FromString(content[12 : 12 + length])
        found += [
            (value.tag, event.step, value.simple_value) for value in event.summary.value if not value.HasField("tensor")
        ]
        content = content[16 + length :]
    return found


def test_tensorboard_has_each_trial_that_has_ended_once(tracked, store, trained):
    plan = tracked("[mlflow, tensorboard]")
    first, running = plan.trials[:2]
    trained(first)
    store.trial(running.key).write_history([{"epoch": 1, "time": 1e9, "seconds": 2.0}])
    for accuracy in (90.0, 90.0, 91.0):
        trained(first, accuracy=accuracy)
        trackers = Trackers(plan, store)
        trackers.update(plan.trials)
        (events,) = trackers.places["tensorboard"].rglob("events.*")
        assert events.parent.name == first.key
        assert ("test/final/top1", 2, accuracy) in scalars(events)
        assert [step for name, step, _ in scalars(events) if name == "seconds"] == [1, 2]
    assert str(events.parent.parent.name) == "baseline resnet8"


@pytest.mark.slow
def test_wandb_has_an_offline_run_of_each_trial(tracked, store, trained):
    pytest.importorskip("wandb")
    plan = tracked("[mlflow, wandb]")
    trained(plan.trials[0])
    for _ in range(2):
        trackers = Trackers(plan, store)
        trackers.update(plan.trials)
        (run,) = trackers.places["wandb"].glob(f"wandb/offline-run-*-{plan.trials[0].key}")
        assert list(run.glob("*.wandb"))


def test_trackers_are_part_of_the_plan_and_not_of_a_trial(tracked, plan, store):
    with_more = tracked("[mlflow, tensorboard]")
    store.save_sweep(with_more)
    assert store.plan("tiny").tracking == ("mlflow", "tensorboard")
    assert [trial.key for trial in with_more.trials] == [trial.key for trial in plan.trials]
    assert plan.tracking == Plan.tracking == ("mlflow",)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("tensorbord", "tracking: unknown tracker 'tensorbord'; the nearest is 'tensorboard'"),
        ("[tensorboard]", "mlflow is missing, which tables are built from; write \\[mlflow, tensorboard\\]"),
        ("[mlflow, 3]", "unknown tracker '3'"),
    ],
)
def test_a_wrong_tracker_is_one_message(written, said, tracked):
    with pytest.raises(SpecError, match=said):
        tracked(written)


def test_a_tracker_without_its_package_says_how_to_install_it(tracked, monkeypatch):
    absent = catalog.TRACKERS["wandb"]._replace(package="a_package_that_is_absent")
    monkeypatch.setitem(catalog.TRACKERS, "wandb", absent)
    with pytest.raises(SpecError, match=r"tracking: wandb requires .*; install it with: pip install 'exeunt\[wandb\]'"):
        tracked("[mlflow, wandb]")
