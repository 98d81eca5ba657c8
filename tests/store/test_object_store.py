import pickle
from dataclasses import replace

import boto3
import pytest
import torch
from exeunt.specs import SpecError
from exeunt.store import StorageError
from exeunt.store.fencing import StaleAttemptError
from exeunt.store.lease import SweepLockedError, hold_lease
from exeunt.store.object_store import ObjectStoreDirectory
from exeunt.store.trial_store import Store
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
def folder(uri):
    return ObjectStoreDirectory(uri)


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


def test_an_attempt_that_was_superseded_can_change_nothing(uri, ended):
    store = Store(uri)
    orphan = store.start_attempt("k")
    orphan.checkpoints.write({"step": 1}, epoch=0, step=1)
    newer = pickle.loads(pickle.dumps(store.start_attempt("k")))
    for change in (lambda: orphan.write_result(ended("done")), orphan.checkpoints.clear):
        with pytest.raises(StaleAttemptError):
            change()
    assert newer.checkpoints.latest(torch.device("cpu")) == {"step": 1}
    newer.write_history([{"epoch": 1, "seconds": 1.0, "time": 0.0}])
    assert store.progress_of(["k", "other"])["k"].state == "running"
    newer.write_result(ended("done"))
    assert store.progress_of(["k", "other"])["k"].state == "done"
    assert store.keys() == ["k"]


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
def test_a_sweep_is_kept_there_and_taken_up_again(uri, exeunt, tmp_path):
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
    store = Store(uri)
    assert {progress.state for progress in store.progress_of(store.keys()).values()} == {"done"}
    assert set(store.sweep_directory("far").entries()) == {"mark", "sweep.yaml", "table.csv", "table.tex"}
    answer = exeunt("sweep", file, "--storage", uri, "--tracking", database)
    assert "0 to train" in answer.out
    assert "baseline" in exeunt("table", "far", "--storage", uri, "--tracking", database).out


@pytest.fixture
def store(uri):
    """Return a store on S3, which replaces the local one also in other fixtures."""
    return Store(uri)


@pytest.mark.slow
def test_a_sweep_there_is_recorded_looked_at_verified_and_cleaned(plan, store, trained, run, tmp_path, monkeypatch):
    done, orphan = plan.trials[0], replace(plan.trials[1], key="f" * 16)
    for trial in (done, orphan):
        trained(trial, weights=True)
    store.trial(done.key).directory.write("checkpoint-00001-0000000-0123456789abcdef.pt", b"old")
    store.save_sweep(plan)
    tracking = ("--tracking", f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert run("sync", "tiny")[0] == 2, "an object store cannot hold a database"
    assert run("sync", "tiny", *tracking) == (0, f"tiny: 1 run written to MLflow at {tracking[1]}\n", "")
    assert f"1 done, 0 started, {len(plan.trials) - 1} waiting" in run("status", "tiny")[1]
    assert run("verify", "tiny", *tracking)[0] == 0
    assert run("verify", *tracking)[0] == 1, "the orphan's key is not its spec's"
    assert "nothing to remove" in run("clean", "--yes")[1], "all files are recent"
    monkeypatch.setattr("exeunt.sweep.clean.QUIET_AFTER_S", -1)
    assert "removed: 2 items" in run("clean", "--yes")[1]
    assert store.keys() == [done.key]
    assert run("verify", *tracking)[0] == 0
