"""Replay of all states that a loss of power can leave, see `crash_states`."""

from dataclasses import replace

import pytest
from exeunt.specs import content_key, trial_key
from exeunt.store import LocalDirectory, Store, hold_lease, lease_owner
from exeunt.store.migration import migrate_trials
from exeunt.store.plugins import Plugin, keep_plugins, kept_plugins
from exeunt.store.trial_files import SPEC
from hypothesis import given
from hypothesis import strategies as st

from .crash_states import recorded
from .test_plan_record import PLAN

EPOCH = {"epoch": 1, "seconds": 1.0, "time": 1.0}


@pytest.fixture
def root(tmp_path):
    """Directory that exists; everything below is new."""
    return tmp_path


def restored(state, tmp_path_factory):
    """Return the store that is found when the power is back."""
    root = tmp_path_factory.mktemp("after")
    state.restore(root)
    return Store(root / "store")


def train(store, key, spec, *, epochs=3):
    """Write the files of a training, in the order of `train`."""
    with store.attempt(key, driver="d") as files:
        keep_plugins(files.directory, [Plugin(name="own.py", source="# a method\n")])
        files.write_spec(spec)
        for epoch in range(1, epochs + 1):
            files.checkpoints.write(b"state of epoch %d" % epoch, epoch=epoch, step=0)
            files.write_history([EPOCH | {"epoch": past} for past in range(1, epoch + 1)])
        files.write_weights(b"weights" * 100)
        files.write_result({"state": "done", "key": key, "seconds": 1.0, "metrics": {"m": 1.0}, "environment": {}})


def test_a_trial_is_whole_at_each_moment_from_its_first_write_to_its_result(root, store, key, spec, tmp_path_factory):
    with recorded(root) as recording:
        train(store, key, spec)
    assert recording.require_promises() > 100
    results = set()
    for state in {frozenset(state.seen.items()): state for state in recording.states()}.values():
        found = restored(state, tmp_path_factory)
        files = found.trial(key)
        assert files.spec() in (None, spec)
        assert [record["epoch"] for record in files.history()] == [*range(1, len(files.history()) + 1)]
        progress = found.progress(key)
        assert progress.state in ("waiting", "running", "done")
        results.add(progress.state)
        if progress.state == "done":
            assert files.weights() == b"weights" * 100
            assert len(files.history()) == 3
        elif files.history():
            assert files.checkpoints.latest() == b"state of epoch %d" % len(files.history()) or (
                files.checkpoints.latest() == b"state of epoch %d" % (len(files.history()) + 1)
            )
        with found.attempt(key, driver="d") as files:  # nothing that was left over disturbs the next attempt
            files.write_result({"state": "done", "key": key, "seconds": 1.0, "metrics": {}, "environment": {}})
        assert found.progress(key).state == "done"
    assert results == {"waiting", "running", "done"}


def test_a_finished_trial_never_vanishes(root, store, key, spec):
    with recorded(root) as recording:
        train(store, key, spec)
        finished = len(recording.operations)
        for seed in (1, 2):
            train(store, f"{key[:-1]}{seed}", spec | {"seed": seed}, epochs=1)
    path = (store.trial(key).directory.path / "result.json").relative_to(root)
    after = [state for state in recording.states() if state.moment >= finished]
    assert len(after) > 100
    assert {state.files.get(path) for state in after} == {store.trial(key).directory.read("result.json")}


@pytest.mark.slow
def test_a_damaged_result_that_was_set_aside_does_not_come_back(root, store, key, spec):
    with recorded(root) as recording:
        train(store, key, spec)
        store.trial(key).directory.write("result.json", b'{"state": ')
        with store.attempt(key, driver="d") as files:
            files.set_result_aside()
        train(store, key, spec, epochs=1)
        with store.attempt(key, driver="d") as files:
            files.start_over()
        store.trial(key).directory.remove("result.json")
        store.trial(key).directory.remove_all()
        train(store, key, spec, epochs=1)
    assert recording.require_promises() > 300
    assert store.progress(key).state == "done"


def test_a_sweep_is_whole_at_each_moment_of_its_launch(root, store, tmp_path_factory):
    plugins = (Plugin(name="own.py", source="# a method\n"), Plugin(name="two.py", source="# another\n"))
    directory = store.sweep_directory("s")
    with recorded(root) as recording:
        for used in (plugins, plugins[1:]):
            with hold_lease(directory, "s"):
                store.save_sweep(replace(PLAN, plugins=used))
                mark = store.sweep_id("s")
    assert recording.require_promises() > 100
    for state in {frozenset(state.seen.items()): state for state in recording.states()}.values():
        found = restored(state, tmp_path_factory)
        assert found.sweeps() in ([], ["s"])
        assert all(found.plan(name).trials == PLAN.trials for name in found.sweeps())
        assert lease_owner(found.sweep_directory("s")) is None or (found.sweep_directory("s").read("driver.json"))
        assert set(kept_plugins(found.sweep_directory("s"))) <= set(plugins)
        if state.moment == len(recording.operations):
            assert found.sweep_id("s") == mark


def test_a_migration_that_lost_power_is_completed_by_the_next_one(root, store, spec, tmp_path_factory):
    """Each trial of 0.1.0 keeps its files, and weights that a sweep file names stay in their place."""
    specs = [spec | {"seed": seed} for seed in (0, 1)]
    named, other = map(content_key, specs)
    with recorded(root) as recording:
        for old, trial in zip((named, other), specs, strict=True):
            directory = store.root.inside("trials", old)
            SPEC.write(directory, "spec.json", trial)
            directory.write("weights.pt", old.encode())
            directory.write("result.json", b'{"state": "done", "seconds": 1.0, "metrics": {}, "environment": {}}')
        store.sweep_directory("old").write("sweep.yaml", f"kd: runs/trials/{named}/weights.pt".encode())
        begun = len(recording.operations)
        assert len(list(migrate_trials(store))) == len(specs)
    recording.require_promises(begun)
    for state in {frozenset(state.seen.items()): state for state in recording.states(begun)}.values():
        found = restored(state, tmp_path_factory)
        assert not [one.problem for one in migrate_trials(found) if one.problem]
        assert found.keys() == sorted([named, *map(trial_key, specs)])
        assert found.trial(named).weights() == named.encode()
        for old, trial in zip((named, other), specs, strict=True):
            files = found.trial(trial_key(trial))
            assert (files.spec(), files.weights(), found.progress(trial_key(trial)).state) == (
                trial,
                old.encode(),
                "done",
            )


NAMES = st.sampled_from(["a", "b"])
PLACES = st.sampled_from([(), ("x",), ("x", "y"), ("z",)])
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), PLACES, NAMES, st.binary(min_size=1, max_size=4)),
        st.tuples(st.just("guarded write"), PLACES, NAMES, st.binary(min_size=1, max_size=4)),
        st.tuples(st.just("remove"), PLACES, NAMES, NAMES),
        st.tuples(st.just("rename"), PLACES, NAMES, NAMES),
        st.tuples(st.just("remove_all"), PLACES),
        st.tuples(st.just("rename_subdirectory"), st.just(()), st.just("x"), st.just("z")),
    ),
    max_size=6,
)


@given(operations=OPERATIONS)
def test_each_change_of_a_directory_is_durable_when_it_returns(tmp_path_factory, operations):
    root = tmp_path_factory.mktemp("durable")
    with recorded(root) as recording:
        for operation, place, *arguments in operations:
            directory = LocalDirectory(root / "store").inside(*place)
            match operation:
                case "write":
                    directory.write(*arguments)
                case "guarded write":
                    directory.guarded(lambda: None).write(*arguments)
                case "rename" if arguments[0] != arguments[1] and directory.read(arguments[0]) is not None:
                    directory.rename(*arguments)
                case "rename_subdirectory" if directory.subdirectories() == ["x"]:
                    directory.rename_subdirectory(*arguments)
                case "remove":
                    directory.remove(*arguments)
                case "remove_all":
                    directory.remove_all()
    recording.require_promises()
    present = {path.relative_to(root) for path in root.rglob("*") if path.is_file() and not path.name.startswith(".")}
    assert recording.present().keys() == present, "the recording is complete"
    assert all((root / path).read_bytes() == content for path, content in recording.present().items())
