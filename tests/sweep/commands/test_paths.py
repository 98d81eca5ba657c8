"""Paths, names and addresses with special characters, and credentials in them."""

import csv
import shutil

import pytest
from exeunt.specs import is_printable
from exeunt.store import Store
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.tracking.writer import Mirror
from mlflow import MlflowClient

NAMES = ["a?b", "a#b", "a%b", "a%20b", "a&b", "a b", "a'b\"c", "a:b", "s3:", "ü☃", "[a]", "a;b\\c", "x@y", "a?b=c@d"]
FILE = """\
name: tiny
dataset: digits
architectures: [resnet8]
seeds: [0]
recipe: {base: fast, epochs: 1, batch_size: 512}
methods:
  baseline: {}
"""
SECRET = "s3cr3t-of-Ann"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(FILE)
    return path


def filled(location, file, database):
    """Return a store with a finished trial and a database of MLflow without runs."""
    store = Store(location)
    plan = make_plan(read_sweep(file))
    store.save_sweep(plan)
    metrics = {"test/final/top1": 87.5}
    store.trial(plan.trials[0].key).write_history([{"epoch": 1, "time": 0.0, "seconds": 1.0} | metrics])
    result = {"state": "done", "seconds": 1.0, "metrics": metrics, "environment": {}}
    store.trial(plan.trials[0].key).write_result(result)
    if database:
        shutil.copy(database, store.database)
    return store


@pytest.mark.parametrize("name", NAMES)
def test_a_storage_may_have_any_name(name, run, file, database, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    filled(name, file, database)
    status, out, err = run("sync", "tiny", "--storage", name)
    assert (status, err) == (0, "")
    assert "1 trial, 1 configuration written" in out
    status, out, err = run("table", "tiny", "--format", "csv", "--storage", name)
    assert (status, err) == (0, "")
    assert next(csv.DictReader(out.splitlines()))["mean"] == "87.5"
    assert run("explain", "tiny", "resnet8", "baseline", "--storage", name).status == 0
    assert [path.name for path in (tmp_path / "here").iterdir()] == [name]


@pytest.mark.slow
def test_a_sweep_writes_everything_into_a_storage_with_special_characters(exeunt, run, file, tmp_path, monkeypatch):
    (tmp_path / "in?side#%20").mkdir()
    monkeypatch.chdir(tmp_path / "in?side#%20")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "in?side#%20"))
    status, _, err = exeunt("sweep", file, "--storage", "a?b")
    assert (status, err) == (0, "")
    assert run("verify", "--storage", "a?b").status == 0
    assert run("table", "tiny", "--storage", "a?b").status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in?side#%20", "tiny.yaml"]


@pytest.mark.slow
def test_mlflow_creates_its_database_in_a_storage_with_special_characters(run, file, tmp_path):
    filled(tmp_path / "here" / "a?b%20c", file, database=None)
    assert run("sync", "tiny", "--storage", tmp_path / "here" / "a?b%20c").status == 0
    assert (tmp_path / "here" / "a?b%20c" / "mlflow.db").exists()
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["a?b%20c"]


def test_a_tilde_is_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Store("~/runs").location == str(tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    assert Store("./~").location == str(tmp_path / "~")


@pytest.mark.parametrize("wrong", ["", "a\nb", "a\x1b[31m", "a\x7f", "\udcff", "x" * 300, "tiny.yaml"])
@pytest.mark.parametrize("words", [["plan", "tiny.yaml"], ["status", "tiny"], ["clean", "--yes"]])
def test_a_storage_that_cannot_be_one_is_one_message(words, wrong, run, file, monkeypatch):
    monkeypatch.chdir(file.parent)
    status, out, err = run(*words, "--storage", wrong)
    assert (status, out) == (2, "")
    assert err.startswith("exeunt: --storage ")
    assert err.count("\n") == 1
    assert err[:-1].isprintable()
    assert [path.name for path in file.parent.iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize("name", ["../../x", "/etc", "", ".", "tiny/", "tiny\n", "tiny\0", "\udcff", "\x1b[31m", "a?b"])
@pytest.mark.parametrize(
    "words",
    [["status"], ["table"], ["figures"], ["report"], ["sync"], ["verify"], ["search", "--show"], ["explain", "a", "b"]],
    ids=lambda words: words[0],
)
def test_what_is_no_name_of_a_sweep_is_one_message(words, name, run, file, database, tmp_path):
    store = filled(tmp_path / "runs", file, database)
    command, *more = words
    options = [word for word in more if word.startswith("-")]
    others = [word for word in more if not word.startswith("-")]
    status, out, err = run(command, *options, "--storage", store.location, "--", name, *others)
    assert (status, out) == (2, "")
    assert err == f"exeunt: no sweep {name!r} was launched in {store.location}; {_nearest(name)}.\n"


def _nearest(name):
    return "the nearest is 'tiny'" if name.startswith("tiny") else "choose from 'tiny'"


@pytest.mark.parametrize("kind", ["", "../main", "main\n", "\x1b[31m"])
def test_an_unknown_kind_of_table_is_one_message(kind, run, file, database, tmp_path):
    store = filled(tmp_path / "runs", file, database)
    run("sync", "tiny", "--storage", store.location)
    status, out, err = run("table", "tiny", "--kind", kind, "--storage", store.location)
    assert (status, out) == (2, "")
    assert repr(kind) in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "tracking",
    [
        "postgresql+psycopg://127.0.0.1:1/db?user=u&password={}",
        "postgresql+psycopg://u:{}@127.0.0.1:1/db",
        "postgresql+psycopg://127.0.0.1:1/db?unknown_option={}",
        "postgresql+nodriver://u:{}@127.0.0.1:1/db",
        "postgresql+psycopg://u:{}@127.0.0.1:port/db",
        "postgresql+psycopg://u:a {}@127.0.0.1:1/db",
        "http://{}@127.0.0.1:1",
        "http://127.0.0.1:1/?token={}",
        "ftp://u:{}@127.0.0.1:1",
        "sqlite:///none.db?key={}",
    ],
)
def test_no_command_shows_the_credentials_of_mlflow(tracking, run, file, tmp_path, monkeypatch, capfd, caplog):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.chdir(tmp_path)
    store = filled(tmp_path / "runs", file, database=None)
    options = "--storage", store.location, "--tracking", tracking.format(SECRET)
    for words in (["table", "tiny"], ["sync", "tiny"], ["verify"], ["report", "tiny"]):
        status, out, err = run(*words, *options)
        assert SECRET not in out + err
        assert "Traceback" not in err
        assert (status == 2) == err.startswith("exeunt: ")
    shown = capfd.readouterr()
    assert SECRET not in shown.out + shown.err + caplog.text


@pytest.mark.parametrize(
    "storage",
    [
        pytest.param("s3://KEY:{}@bucket/x?endpoint_override=http://127.0.0.1:1", marks=pytest.mark.slow),
        "s3://bucket/x?secret_key={}",
        "foo://KEY:{}@bucket",
        "s3://KEY:a/{}@bucket",
        "s3://KEY:a {}@bucket",
        "s3://KEY:a#{}@bucket",
    ],
)
def test_the_credentials_of_a_storage_are_not_shown(storage, run):
    for words in (["status", "tiny"], ["table", "tiny"], ["clean", "--dry-run"], ["migrate"]):
        status, out, err = run(*words, "--storage", storage.format(SECRET))
        assert (status, out) == (2, "")
        assert err.startswith("exeunt: ")
        assert SECRET not in err


def test_the_credentials_of_a_storage_are_not_recorded(file, database, tmp_path):
    filled(tmp_path / "runs", file, database)
    store = Store(f"file://{tmp_path}/runs?token={SECRET}")
    assert SECRET not in store.location
    assert SECRET not in store.sweep_directory("tiny").located("file")
    uri = f"sqlite:///{tmp_path}/runs/mlflow.db"
    Mirror(store.plan("tiny"), store, uri).update_all()
    experiment = MlflowClient(uri).get_experiment_by_name("tiny")
    assert experiment.tags["exeunt.location"] == f"file://{tmp_path}/runs?***"


def test_the_reason_of_a_failure_cannot_change_a_terminal_or_mlflow(run, file, database, tmp_path):
    store = filled(tmp_path / "runs", file, database)
    trial = store.plan("tiny").trials[0]
    store.trial(trial.key).directory.remove("result.json")
    store.trial(trial.key).write_failure({"reason": "broken \x1b[2J\x1b]0;title\x07 \u202eend"})
    out = run("status", "tiny", "--storage", store.location).out
    assert "broken" in out
    assert is_printable(out.replace("\n", ""))
    assert run("sync", "tiny", "--storage", store.location).status == 0
    client = MlflowClient(store.tracking_uri)
    (recorded,) = client.search_runs(
        [client.get_experiment_by_name("tiny").experiment_id], "tags.`exeunt.key` LIKE '%'"
    )
    assert recorded.data.tags["exeunt.error"] == "broken [2J ]0;title end"


def test_the_command_that_resumes_a_sweep_shows_no_credentials(capsys):
    from exeunt.sweep.commands._exit import leaving
    from rich.console import Console
    from typer import Exit

    again = [
        "exeunt",
        "sweep",
        "a b.yaml",
        "--storage",
        f"s3://K:{SECRET}@b/x?a=1&b=2",
        "--tracking",
        f"http://{SECRET}@h",
    ]
    with pytest.raises(Exit), leaving(Console(), again):
        raise KeyboardInterrupt
    shown = capsys.readouterr().out
    assert shown.endswith("exeunt sweep 'a b.yaml' --storage 's3://***@b/x?***' --tracking http://***@h\n")
