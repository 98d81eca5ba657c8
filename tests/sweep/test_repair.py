"""Repair of a store by `exeunt verify --repair`: what is written again, what is set aside, and what is left."""

import json

import pytest
from exeunt.store.lease import hold_lease
from exeunt.sweep.planning.plan import missing

RESULT, SPEC, WEIGHTS, HISTORY = "result.json", "spec.json", "weights.pt", "history.jsonl"


@pytest.fixture
def run(run_on_store):
    return run_on_store


@pytest.fixture
def one(plan, store, trained):
    """Return the key and the directory of a completed trial of a planned sweep."""
    store.save_sweep(plan)
    trained(plan.trials[0], epochs=plan.trials[0].configuration.epochs, weights=True)
    return plan.trials[0].key, store.trial(plan.trials[0].key).directory


@pytest.fixture
def synced(run, one):
    """The trial is in MLflow."""
    assert run("sync", "tiny").status == 0
    return one


def cut(content):
    return content[: len(content) // 2]


def all_files(store):
    return {path: path.read_bytes() for path in store.root.path.rglob("*") if path.is_file() and path.suffix != ".db"}


@pytest.mark.parametrize("change", [cut, lambda _: b"{}", lambda _: None], ids=["cut", "other content", "missing"])
def test_a_spec_is_written_again_from_the_plan(change, synced, store, plan, run):
    key, folder = synced
    was = folder.read(SPEC)
    if (content := change(was)) is None:
        folder.remove(SPEC)
    else:
        folder.write(SPEC, content)
    answer = run("verify", "--repair")
    assert answer.status == 0, answer.err
    assert f"write spec.json of trial {key} from the plan" in answer.out
    assert folder.read(SPEC) == was
    assert run("verify").status == 0
    assert key not in {trial.key for trial in missing(plan, store)}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (RESULT, cut),
        (RESULT, lambda content: json.dumps(json.loads(content) | {"weights": "0" * 64}).encode()),
        (WEIGHTS, cut),
        (WEIGHTS, lambda content: content + b"0"),
        (HISTORY, lambda content: content.splitlines(keepends=True)[0]),
        (HISTORY, lambda content: content.replace(b"{", b"[", 1)),
    ],
    ids=["result cut", "result of other weights", "weights cut", "weights longer", "epoch missing", "history damaged"],
)
def test_a_result_that_contradicts_is_set_aside_and_trained_again(name, change, synced, store, plan, run):
    key, folder = synced
    folder.write(name, change(folder.read(name)))
    assert run("verify").status == 1
    answer = run("verify", "tiny", "--repair")
    assert answer.status == 0, answer.err
    assert answer.out.count("the next run of its sweep trains it again") == 1
    assert key in {trial.key for trial in missing(plan, store)}
    assert "damaged-result.json" in folder.entries(), "nothing is removed"
    assert run("verify").status == 0


@pytest.mark.usefixtures("one")
def test_runs_that_mlflow_lacks_are_written(run):
    assert run("verify").status == 1
    answer = run("verify", "--repair")
    assert (answer.status, answer.err) == (0, "")
    assert "write what MLflow lacks of sweep tiny" in answer.out
    assert run("verify").status == 0


def test_a_dry_run_lists_the_repairs_and_changes_nothing(synced, store, run):
    _, folder = synced
    folder.write(WEIGHTS, b"other")
    before = all_files(store)
    answer = run("verify", "--repair", "--dry-run")
    assert answer.status == 1
    assert "would set result.json" in answer.out
    assert all_files(store) == before


@pytest.mark.usefixtures("synced")
def test_what_nothing_repairs_is_counted(store, run):
    store.sweep_directory("tiny").write("plan.json", b"{")
    answer = run("verify", "--repair")
    assert answer.status == 1
    assert "not repaired: 1 problem, whose fix is above" in answer.out


def test_nothing_is_repaired_while_a_sweep_runs(synced, store, run):
    _, folder = synced
    folder.write(WEIGHTS, b"other")
    with hold_lease(store.sweep_directory("tiny"), "tiny"):
        answer = run("verify", "--repair")
    assert answer.status == 2
    assert "sweep 'tiny' is being run by process" in answer.err
    assert folder.read(RESULT) is not None


@pytest.mark.usefixtures("one")
def test_a_dry_run_is_one_of_repairs(run):
    answer = run("verify", "--dry-run")
    assert (answer.status, answer.out) == (2, "")
    assert "--dry-run lists repairs; add --repair" in answer.err


@pytest.mark.parametrize(("limit", "checked"), [("0.0000001s", "0 of 1 trial"), ("2h", "1 trial")])
@pytest.mark.usefixtures("synced")
def test_a_check_with_a_time_limit_says_how_far_it_came(limit, checked, run):
    assert f"Checked {checked} in " in run("verify", "--max-duration", limit).out
