import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def event_log(monkeypatch, tmp_path):
    """Module that writes and counts the log of trainings, with its log in an empty directory."""
    monkeypatch.syspath_prepend(BENCHMARKS / "killed")
    import event_log

    monkeypatch.setenv(event_log.LOG, str(tmp_path / "events.jsonl"))
    yield event_log
    sys.modules.pop("event_log")


@pytest.fixture
def pages(monkeypatch):
    """Module that writes the table of docs/comparison.md."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import resume_page

    yield resume_page
    sys.modules.pop("resume_page")


def log_of(event_log, *trainings):
    """Return events from (trial, first epoch, last epoch) and the names of markers; an epoch 3 ends a training."""
    events = []
    for training in trainings:
        if isinstance(training, str):
            events.append(event_log.Event(training))
            continue
        trial, first, last = training
        events.append(event_log.Event("start", trial, first - 1))
        events += [event_log.Event("epoch", trial, epoch) for epoch in range(first, last + 1)]
        events += [event_log.Event("end", trial, 3)] if last == 3 else []
    return events


@pytest.mark.parametrize(
    ("trainings", "expected"),
    [
        ([("a", 1, 3), ("b", 1, 2), "resumed", ("b", 3, 3), "added", ("c", 1, 3)], (0, 0, 0)),
        ([("a", 1, 3), ("b", 1, 2), "resumed", ("b", 2, 3), "added", ("c", 1, 3)], (0, 1, 0)),
        ([("a", 1, 3), ("b", 1, 2), "resumed", ("a", 1, 3), ("b", 1, 3), "added", ("c", 1, 3)], (1, 5, 0)),
        ([("a", 1, 3), "resumed", ("a", 3, 3), ("a", 3, 3), ("b", 1, 3), "added", ("c", 1, 3)], (2, 2, 0)),
        ([("a", 1, 3), ("b", 1, 3), "resumed", "added", ("a", 1, 3), ("b", 3, 3), ("c", 1, 3)], (0, 0, 2)),
        ([("a", 1, 3), ("b", 1, 3), "resumed", "added", ("c", 1, 2), ("c", 1, 3)], (0, 0, 0)),
    ],
)
def test_work_that_was_repeated_is_counted(event_log, trainings, expected):
    whole = {"a": "1", "b": "2", "c": "3"}
    counts = event_log.count(log_of(event_log, *trainings), {"a": "1", "b": "2"}, whole, whole, {"a", "b"})
    assert (counts.finished_twice, counts.epochs_twice, counts.trained_again) == expected
    assert (counts.missing, counts.missing_at_end, counts.different) == (0, 0, 0)


def test_results_that_are_missing_or_different_are_counted(event_log):
    whole = {"a": "1", "b": "2", "c": "3"}
    counts = event_log.count([], {"a": "1"}, {"a": "1", "b": "other"}, whole, {"a", "b"})
    assert (counts.missing, counts.missing_at_end, counts.different) == (1, 1, 1)


def test_an_incomplete_last_line_is_no_event(event_log, tmp_path):
    event_log.write("start", "a")
    event_log.write("epoch", "a", 1)
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('["epoch", "a", 2')
    assert [(event.name, event.epoch) for event in event_log.read(tmp_path / "events.jsonl")] == [
        ("start", 0),
        ("epoch", 1),
    ]


def test_the_page_has_what_was_run(pages):
    written = pages.PAGE.read_text(encoding="utf-8")
    assert written == pages.page(written, pages.recorded()), "run: python benchmarks/resume_page.py"


def test_only_programs_that_were_run_are_in_the_table(pages):
    row = dict.fromkeys(pages.MEASURES, "0") | {"program": "ray", "lines": "9"}
    lines = pages.table([row, row | {"epochs_twice": "4"}]).splitlines()
    assert lines[0] == "| | Ray Tune |"
    assert "| epochs that were trained again | 0, 4 |" in lines
    assert "| lines of the user that only serve to resume | 9 |" in lines
