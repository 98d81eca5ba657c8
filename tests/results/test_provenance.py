import pytest
from exeunt.results import explain, load, render
from exeunt.specs import SpecError


@pytest.fixture
def frame(record):
    """Baseline with two of three seeds, students of its first seed, and a student of another architecture."""
    sweep = record()
    sweep.trial("baseline", 97.0, seed=0, key="a" * 16)
    sweep.trial("baseline", 98.0, seed=1, key="b" * 16)
    sweep.trial("baseline", state="failed", error="no room", seed=2, key="c" * 16)
    taught = {"teacher__key": "a" * 16, "teacher__architecture": "resnet8"}
    sweep.trial("kd", 99.0, seeds=1, key="d" * 16, method__temperature="1", **taught)
    sweep.trial("kd", 99.5, seeds=1, key="e" * 16, method__temperature="4", **taught)
    sweep.trial("kd", 90.0, seeds=1, architecture="resnet20", method__temperature="1", **taught)
    return load(sweep.tracking_uri, sweep.sweep)


def test_a_cell_is_traced_to_its_trials(frame):
    sheet = explain(frame, "resnet8", "baseline", files=lambda key: [f"{key[:1]}.json"])
    found = [(record["seed"], record["state"], record["value"], record["trial"]) for record in sheet.records]
    assert found == [(0, "done", 97.0, "a" * 16), (1, "done", 98.0, "b" * 16), (2, "failed", None, "c" * 16)]
    assert [record["files"] for record in sheet.records] == ["a.json", "b.json", "c.json"]
    assert [record["MLflow run"] for record in sheet.records] == frame["run_id"].tolist()[:3]
    assert sheet.notes == ("resnet8, baseline: 97.50 ± 0.71, 2 of 3.",)


def test_a_student_is_traced_to_its_teacher_too(frame):
    sheet = explain(frame, "resnet8", "kd temperature=4")
    found = [(record["method"], record["role"], record["value"], record["trial"]) for record in sheet.records]
    teacher = ("baseline on resnet8", "teacher", 97.0, "a" * 16)
    assert found == [("kd temperature=4", "result", 99.5, "e" * 16), teacher]
    assert [record["trial"][0] for record in explain(frame, "resnet8", "kd").records] == ["d", "e", "a"]


def test_it_is_written_as_any_table_is(frame):
    text = render(explain(frame, "resnet8", "baseline"), width=200)
    assert "97.00" in text
    assert "–" in next(line for line in text.splitlines() if "c" * 16 in line)
    assert render(explain(frame, "resnet8", "baseline"), "csv").count("\n") == 4


@pytest.mark.parametrize(
    ("architecture", "method", "said"),
    [
        ("resnet9", "kd", "unknown architecture 'resnet9'; the nearest is 'resnet8'"),
        ("resnet8", "kdd", "unknown method 'kdd'; the nearest is 'kd'"),
    ],
)
def test_what_the_sweep_does_not_compare_is_named(architecture, method, said, frame):
    with pytest.raises(SpecError, match=said):
        explain(frame, architecture, method)
