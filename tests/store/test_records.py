"""Content that the store has not written: one error that names the file and its remedy, and never another one."""

import json
import re

import pytest
from exeunt.specs import SpecError, trial_key
from exeunt.store import (
    DamagedFileError,
    LocalDirectory,
    NewerFormatError,
    Store,
    SweepLockedError,
    TrialFiles,
    hold_lease,
    lease_owner,
    liveness,
    living_attempt,
)
from exeunt.store.records import FORMAT
from hypothesis import given
from hypothesis import strategies as st

SPEC = {
    "dataset": {"name": "digits"},
    "architecture": {"name": "resnet8"},
    "method": {"name": "kd", "temperature": 4.0},
    "recipe": {"epochs": 2, "milestones": [1]},
    "teacher": {"dataset": {"name": "digits"}, "seed": 3},
    "seed": 7,
}
KEY = trial_key(SPEC)
RESULT = {
    "state": "diverged",
    "key": KEY,
    "reason": "epoch 1, step 2: the loss is not finite",
    "protocol": "last epoch on test",
    "seconds": 2.5,
    "metrics": {"test/final/top1": 90, "test/final/nll": 0.5},
    "environment": {"torch": "2.11", "threads": 1, "cuda": False},
    "weights": "0" * 64,
    "teacher": "1" * 64,
    "reliability": {"final": [[9, 0.5, 0.25]]},
}
HISTORY = [{"epoch": epoch, "seconds": 2.0, "time": 1e9 + epoch, "train/loss": float("inf")} for epoch in (1, 2)]
FAILURE = {"reason": "ValueError: 'ü'", "traceback": "Traceback ...\n"}
PRUNED = {"stopping": {"rule": "median"}, "epoch": 3, "reason": "stopped by median after epoch 3 of 9"}
PROCESS = {"host": "elsewhere", "pid": 1, "born": "5", "namespace": "pid:[1]", "seen": 1e9}
ATTEMPT = PROCESS | {"driver": "d", "ended": False}
DRIVER = PROCESS | {"since": 1e9, "token": "t"}

RETRAIN = "To train the trial again, remove {directory} and run the sweep."
KINDS = {
    "spec.json": (SPEC, TrialFiles.spec, RETRAIN),
    "history.jsonl": (HISTORY, TrialFiles.history, RETRAIN),
    "result.json": (RESULT, TrialFiles.result, "Run the sweep again to retrain the trial."),
    "failure.json": (FAILURE, TrialFiles.failure, "Run the sweep again; it retries the trial."),
    "pruned.json": (
        PRUNED,
        lambda files: files.reason_pruned({"rule": "median"}),
        "Remove the file; the sweep then applies its stopping rule again.",
    ),
    "attempt-00001.json": (
        ATTEMPT,
        lambda files: living_attempt(files.directory),
        "If no process trains the trial, remove the file.",
    ),
    "driver.json": (
        DRIVER,
        lambda files: lease_owner(files.directory),
        "If no process runs the sweep, remove the file.",
    ),
}
"""A valid record, its reader, and the remedy of a damaged file, by name."""

kinds = pytest.mark.parametrize("name", KINDS)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """Do not wait for the heartbeat of a process on another machine."""
    monkeypatch.setattr(liveness, "HEARTBEAT_INTERVAL_S", 0.0)


@pytest.fixture
def files(tmp_path):
    """Files of one trial, with a lease beside them."""
    return TrialFiles(tmp_path / KEY, KEY)


@pytest.fixture
def unchecked(files):
    """The same files without a check of the key."""
    return TrialFiles(files.directory)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("records")


def encoded(name, record):
    records = record if name.endswith("jsonl") else [record]
    return "".join(json.dumps(each) + "\n" for each in records).encode()


def formatted(record, version):
    """Return the record with a format version; the last one of several."""
    return (
        [*record[:-1], {"format": version, **record[-1]}] if isinstance(record, list) else record | {"format": version}
    )


def error_of(files, name, content):
    """Check that content is read, or is one error that names file and remedy; return its message."""
    _, read, remedy = KINDS[name]
    files.directory.write(name, content)
    try:
        read(files)
    except (DamagedFileError, NewerFormatError) as error:
        message, is_damage = str(error), isinstance(error, DamagedFileError)
    else:
        return None
    fix = remedy.format(directory=files.directory.path) if is_damage else "Upgrade Exeunt to the release that wrote it."
    assert message.startswith(f"{files.directory.path / name} {'is damaged (' if is_damage else 'has format '}")
    assert message.endswith(f". {fix}")
    assert "\n" not in message
    return message


def test_a_record_is_read_as_it_was_written(files):
    files.write_spec(SPEC)
    files.write_history(HISTORY)
    files.write_result(RESULT)
    files.write_failure(FAILURE)
    files.write_pruned({"rule": "median"}, epoch=3, epochs=9)
    assert files.history() == HISTORY
    assert files.result() == RESULT
    assert files.failure() == FAILURE
    assert files.reason_pruned({"rule": "median"}) == PRUNED["reason"]
    assert files.reason_pruned({"rule": "another"}) is None
    assert files.spec() == SPEC
    for name in KINDS.keys() - {"attempt-00001.json", "driver.json"}:
        for line in files.directory.read(name).splitlines() if name.endswith("jsonl") else [files.directory.read(name)]:
            assert json.loads(line)["format"] == FORMAT


@kinds
def test_a_file_without_a_format_version_is_one_of_the_first_release(files, name):
    record, read, _ = KINDS[name]
    files.directory.write(name, encoded(name, record))
    first = read(files)
    files.directory.write(name, encoded(name, formatted(record, FORMAT)))
    assert read(files) == first
    if name in ("spec.json", "history.jsonl", "result.json", "failure.json"):
        assert first == record


@kinds
@pytest.mark.parametrize("version", [FORMAT + 1, 10**30])
def test_a_file_of_a_later_release_is_refused_with_its_version(files, name, version):
    record, read, _ = KINDS[name]
    files.directory.write(name, encoded(name, formatted(record, version)))
    path = re.escape(str(files.directory.path / name))
    with pytest.raises(
        NewerFormatError, match=rf"^{path} has format {version}, but .* up to format {FORMAT}\. Upgrade"
    ):
        read(files)


@kinds
def test_a_file_of_a_later_release_is_refused_even_if_its_shape_is_unknown(files, name):
    files.directory.write(name, b'{"format": 2, "of": ["another", "shape"]}\n')
    with pytest.raises(NewerFormatError):
        KINDS[name][1](files)


@kinds
@pytest.mark.parametrize("version", ["1", None, -1, 1.5, True, [], {}])
def test_an_invalid_format_version_is_damage(files, name, version):
    record, _, _ = KINDS[name]
    assert "(invalid: format)" in error_of(files, name, encoded(name, formatted(record, version)))


@kinds
def test_a_truncated_file_is_damaged(files, name):
    content = encoded(name, formatted(KINDS[name][0], FORMAT))
    for length in range(len(content) - 1):
        if name == "history.jsonl" and content[:length].endswith((b"\n", b"}")) | (length == 0):
            continue  # a shorter history
        assert error_of(files, name, content[:length]), content[:length]


@kinds
@pytest.mark.parametrize(
    "content",
    [
        b"\0" * 100, b"\xff\xfe", b"\xef\xbb\xbf{}", b"\x89PNG\r\n\x1a\n", b" ", b"NaN", b"[]", b"null", b'"text"',
        b"{}", b"5" * 5000, b"[" * 100_000, b'{"a":' * 100_000, b'{"state": "done"} {}', b'{"format": 1}',
    ],
)  # fmt: skip
def test_what_is_no_record_is_damaged(files, name, content):
    if name == "history.jsonl" and content == b" ":
        content = b" \n"
    assert error_of(files, name, content)


@kinds
def test_the_value_of_each_key_is_checked(unchecked, name):
    record, _, _ = KINDS[name]
    assert error_of(unchecked, name, encoded(name, record)) is None
    last = record[-1] if isinstance(record, list) else record
    wrong = {"text": 5, "number": "5", "object": [], "boolean": "no"}
    for key, value in last.items():
        of_kind = {str: "text", bool: "boolean", dict: "object"}.get(type(value), "number")
        changed = last | {key: wrong[of_kind]}
        content = encoded(name, [*record[:-1], changed] if isinstance(record, list) else changed)
        if key in ("train/loss", "teacher") and name != "result.json":
            continue  # a metric, and a part of the spec whose content only its key checks
        assert f"(missing or invalid: {key})" in error_of(unchecked, name, content)


REQUIRED = {
    "spec.json": {"dataset", "architecture", "method", "recipe", "seed"},
    "history.jsonl": {"epoch", "seconds", "time"},
    "result.json": {"state", "seconds", "metrics", "environment"},
    "failure.json": {"reason"},
    "pruned.json": {"stopping", "epoch", "reason"},
    "attempt-00001.json": {"host", "pid"},
    "driver.json": {*DRIVER},
}


@kinds
def test_each_key_that_every_record_has_is_required(unchecked, name):
    record, _, _ = KINDS[name]
    last = record[-1] if isinstance(record, list) else record
    for key in last:
        changed = {other: last[other] for other in last if other != key}
        content = encoded(name, [*record[:-1], changed] if isinstance(record, list) else changed)
        message = error_of(unchecked, name, content)
        assert (message is not None and f"(missing or invalid: {key})" in message) == (key in REQUIRED[name])


@kinds
def test_another_kind_of_file_is_damaged(unchecked, name):
    for other, (record, _, _) in KINDS.items():
        keys = {*(record[0] if isinstance(record, list) else record)}
        if not REQUIRED[name] <= keys:
            assert error_of(unchecked, name, encoded(other, record)), other


def test_the_files_of_another_trial_are_damaged(store, spec, key):
    other = spec | {"seed": 1}
    files = store.trial(key)
    for name, record in (("spec.json", other), ("result.json", RESULT)):
        files.directory.write(name, encoded(name, formatted(record, FORMAT)))
        with pytest.raises(DamagedFileError, match=r"is damaged \(it belongs to trial \w+-s[17]\)\. "):
            KINDS[name][1](files)
    files.directory.write("spec.json", encoded("spec.json", spec | {"recipe": {"epochs": 3}}))
    with pytest.raises(DamagedFileError, match="it belongs to trial"):
        files.spec()
    files.write_spec(spec)
    files.write_result(RESULT | {"key": key})
    assert (files.spec(), files.result()) == (spec, RESULT | {"key": key})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def changed(draw, record):
    """Return a record with some keys removed and some values replaced."""
    kept = {key: value for key, value in record.items() if draw(st.integers(0, 9))}
    return kept | draw(st.dictionaries(st.sampled_from([*record, "format", "other"]), JSON, max_size=2))


@kinds
@given(data=st.data())
@pytest.mark.slow
def test_random_content_is_read_or_one_error(scratch, name, data):
    record, _, _ = KINDS[name]
    if isinstance(record, list):
        content = data.draw(st.lists(changed(record[0]) | JSON, max_size=3))
    else:
        content = data.draw(changed(record) | JSON)
    valued = encoded(name, content)
    cut = data.draw(st.integers(0, len(valued)))
    bytes_too = data.draw(st.just(valued) | st.just(valued[:cut]) | st.binary(max_size=20))
    error_of(TrialFiles(scratch / "trial"), name, bytes_too)
    error_of(TrialFiles(scratch / "trial", KEY), name, bytes_too)


@given(record=changed(DRIVER | liveness.this_process()))
def test_a_random_lease_is_held_taken_over_or_one_error(scratch, record):
    directory = LocalDirectory(scratch / "sweep")
    directory.write("driver.json", encoded("driver.json", record))
    try:
        with hold_lease(directory, "s"):
            assert lease_owner(directory)["token"]
    except (DamagedFileError, NewerFormatError, SweepLockedError) as error:
        problem = str(error)
        named = f"process {record['pid']} on" if isinstance(error, SweepLockedError) else str(directory.path)
    else:
        return
    assert named in problem


@kinds
@given(data=st.data())
def test_the_progress_of_a_trial_with_a_random_file_is_a_state(scratch, name, data):
    record, _, _ = KINDS[name]
    store = Store(scratch / "store")
    directory = store.trial(KEY).directory
    directory.remove_all()
    content = data.draw(changed(record if isinstance(record, dict) else record[0]))
    directory.write(name, encoded(name, [content] if isinstance(record, list) else content))
    try:
        progress = store.progress(KEY, {"rule": "median"})
    except NewerFormatError:
        return
    assert progress.state in ("waiting", "running", "done", "diverged", "pruned", "failed")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"0123456789abcdeg", b"0123456789abcdef\n", b"0" * 17])
def test_a_damaged_id_of_a_sweep_is_named_with_its_remedy(store, content):
    directory = store.sweep_directory("s")
    assert store.sweep_id("s") == store.sweep_id("s")
    directory.write("mark", content)
    with pytest.raises(
        SpecError, match=re.escape(f"{directory.path / 'mark'} is damaged (not 16 hexadecimal digits).")
    ):
        store.sweep_id("s")


def test_the_progress_of_a_damaged_trial_is_a_failure_with_one_remedy(store, key):
    store.trial(key).directory.write("result.json", b"{}")
    progress = store.progress(key)
    assert progress.state == "failed"
    assert progress.reason.startswith(f"{store.trial(key).directory.path / 'result.json'} is damaged (missing")
    assert progress.reason.count("Run the sweep again") == 1
