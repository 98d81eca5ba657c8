import pickle

import boto3
import pytest
from exeunt.specs import SpecError
from exeunt.store import (
    StaleAttemptError,
    StorageError,
    Store,
    SweepLockedError,
    TrialBusyError,
    hold_lease,
    living_attempt,
)
from exeunt.store.object_store import ObjectStoreDirectory
from moto.server import ThreadedMotoServer


@pytest.fixture(scope="module")
def server():
    """Start an S3 server on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def uri(server, monkeypatch, request):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    bucket = f"bucket-{abs(hash(request.node.name))}"
    boto3.client("s3", endpoint_url=server, region_name="us-east-1").create_bucket(Bucket=bucket)
    return f"s3://{bucket}/some/folder?endpoint_override={server}&region=us-east-1"


@pytest.fixture
def store(uri):
    return Store(uri)


@pytest.fixture
def folder(uri):
    return ObjectStoreDirectory(uri)


@pytest.mark.slow
def test_files_are_written_listed_renamed_and_removed(folder):
    assert folder.entries() == {}
    assert folder.subdirectories() == []
    assert folder.read("a") is None
    folder.write("b", b"two")
    folder.write("a", memoryview(b"one"))
    folder.write("b", b"three")
    assert {name: entry.size for name, entry in folder.entries().items()} == {"a": 3, "b": 5}
    assert all(entry.modified > 1e9 for entry in folder.entries().values())
    folder.rename("a", "c")
    assert folder.read("c") == b"one"
    with folder.local("c") as path:
        assert path.read_bytes() == b"one"
    folder.remove("c")
    folder.remove("never there")
    assert list(folder.entries()) == ["b"]
    folder.inside("x", "y").write("z", b"")
    assert folder.subdirectories() == ["x"]
    assert list(folder.entries()) == ["b"]
    assert pickle.loads(pickle.dumps(folder)).read("b") == b"three"


@pytest.mark.slow
def test_an_attempt_that_was_superseded_can_change_nothing(store, key, ended):
    with store.attempt(key, driver="d") as orphan:
        orphan.checkpoints.write(b"1", epoch=0, step=1)
        with store.attempt(key, driver="d") as files:
            newer = files.at(pickle.loads(pickle.dumps(files.directory)))
            for change in (lambda: orphan.write_result(ended("done")), orphan.checkpoints.clear):
                with pytest.raises(StaleAttemptError):
                    change()
            assert newer.checkpoints.latest() == b"1"
            newer.write_history([{"epoch": 1, "seconds": 1.0, "time": 0.0}])
            assert store.progress_of([key, "other"])[key].state == "running"
            newer.write_result(ended("done", key=key))
            assert store.progress_of([key, "other"])[key].state == "done"
    assert store.keys() == [key]


def test_a_trial_of_another_driver_is_busy_until_it_ends(store, key):
    directory = store.trial(key).directory
    with store.attempt(key, driver="theirs"):
        with pytest.raises(TrialBusyError, match="trains it for another sweep"):
            store.attempt(key, driver="ours").__enter__()
        assert living_attempt(directory)["driver"] == "theirs"
    assert living_attempt(directory) is None
    with store.attempt(key, driver="ours"):
        assert living_attempt(directory)["driver"] == "ours"


def test_one_driver_at_a_time(folder):
    with hold_lease(folder, "s"), pytest.raises(SweepLockedError, match="'s' is being run by process"):
        hold_lease(folder, "s").__enter__()
    with hold_lease(folder, "s"):
        pass


def test_what_is_no_storage_is_refused(server):
    with pytest.raises(SpecError, match="'gopher://x/y' cannot be used as storage"):
        ObjectStoreDirectory("gopher://x/y")
    with pytest.raises(StorageError, match="s3://there-is-none/folder/a cannot be written"):
        ObjectStoreDirectory(f"s3://there-is-none/folder?endpoint_override={server}&region=us-east-1").write("a", b"")


@pytest.mark.slow
def test_a_sweep_is_kept_there_taken_up_again_verified_and_cleaned(store, uri, exeunt, tmp_path, monkeypatch):
    file = tmp_path / "sweep.yaml"
    file.write_text(
        "name: far\ndataset: digits\narchitectures: [resnet8]\nseeds: [0, 1]\nrecipe: {base: fast, epochs: 1}\n"
        "methods: {baseline: {}, kd: {teacher: self, temperature: 4}}\nresources: {cpu: 1}\n"
    )
    database = f"sqlite:///{tmp_path}/mlflow.db"
    answer = exeunt("sweep", file, "--storage", uri)
    assert (answer.status, answer.out) == (2, "")
    assert "an object store cannot hold MLflow's database; choose one with --tracking" in answer.err
    answer = exeunt("sweep", file, "--storage", uri, "--tracking", database)
    assert answer.status == 0, answer.err
    assert "baseline" in answer.out
    assert {progress.state for progress in store.progress_of(store.keys()).values()} == {"done"}
    assert set(store.sweep_directory("far").entries()) == {"mark", "plan.json", "sweep.yaml", "table.csv", "table.tex"}
    answer = exeunt("sweep", file, "--storage", uri, "--tracking", database)
    assert "0 to train" in answer.out
    assert "baseline" in exeunt("table", "far", "--storage", uri, "--tracking", database).out
    there = ("--storage", uri)
    assert "4 done, 0 started, 0 waiting" in exeunt("status", "far", *there).out
    assert exeunt("verify", "far", *there, "--tracking", database).status == 0
    assert exeunt("sync", "far", *there).status == 2, "an object store cannot hold a database"
    assert (
        "far: 4 trials, 2 configurations"
        in exeunt("sync", "far", *there, "--tracking", f"sqlite:///{tmp_path}/another.db").out
    )
    keys = store.keys()
    orphan = store.root.inside("trials", "f" * 16 + "-s0")
    for name in store.trial(keys[0]).directory.entries():
        orphan.write(name, store.trial(keys[0]).directory.read(name))
    store.trial(keys[1]).directory.write("checkpoint-00001-0000000-0123456789abcdef.pt", b"old")
    assert exeunt("verify", *there, "--tracking", database).status == 1, "the orphan's key is not its spec's"
    assert "nothing to remove" in exeunt("clean", "--yes", *there).out, "all files are recent"
    monkeypatch.setattr("exeunt.sweep.clean.QUIET_AFTER_S", -1)
    assert "removed: 2 items" in exeunt("clean", "--yes", *there).out
    assert store.keys() == keys
    assert exeunt("verify", *there, "--tracking", database).status == 0
