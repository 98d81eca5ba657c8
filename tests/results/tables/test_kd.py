import pytest
from exeunt.specs import SpecError

from .made_up import Sweep, made, shown


def test_kd_has_a_row_for_each_student_and_teacher(sweep):
    sheet = made(sweep, "kd")
    assert [heading.lines[0] for heading in sheet.headings] == [
        "student", "teacher", "teacher", "baseline", "kd", *["eed"] * 4,
    ]  # fmt: skip
    rows = shown(sheet)
    assert rows[0][:5] == ["resnet20", "resnet56", "74.00", "70.00 ± 1.00 n=3", "72.00 ± 1.00 +2.00, n=3"]
    assert rows[1][:5] == ["resnet20", "resnet20", "69.00", "70.00 ± 1.00 n=3", "71.00 ± 1.00 +1.00, n=3"]
    assert len(rows) == 4


def test_kd_has_a_student_beside_its_own_teacher_alone():
    sweep = Sweep()
    teacher = sweep.trial("baseline", 74.0, role="teacher", architecture="resnet56", seeds=1)
    own = sweep.trial("baseline", 70.0, seeds=1)
    of_teacher = {"teacher__architecture": "resnet56", "teacher__key": teacher, "seeds": 1}
    of_own = {"teacher__architecture": "resnet20", "teacher__key": own, "seeds": 1}
    sweep.trial("kd", 71.0, **of_teacher)
    sweep.trial("kd", 72.0, **of_own)
    sweep.trial("crd", 73.0, **of_teacher)
    sweep.trial("tf_kd_self", 74.0, **of_own)
    sweep.trial("eed", 75.0, seeds=1)
    sheet = made(sweep, "kd")
    methods = [heading.lines for heading in sheet.headings[3:]]
    assert methods == [("baseline",), ("kd",), ("crd",), ("tf_kd_self",), ("eed",)]
    rows = {row[1].text: [entry.text for entry in row[3:]] for row in sheet.rows}
    assert rows["resnet56"] == ["70.00", "71.00", "73.00", "not run", "75.00"]
    assert rows["resnet20"] == ["70.00", "72.00", "not run", "74.00", "75.00"]


def test_kd_tells_teachers_of_one_architecture_apart():
    sweep = Sweep()
    for seed, key in ((0, "a" * 16), (1, "b" * 16)):
        taught = {"teacher__architecture": "resnet56", "teacher__seed": str(seed), "teacher__key": key, "seeds": 1}
        sweep.trial("kd", 71.0 + seed, **taught)
    sheet = made(sweep, "kd")
    assert [heading.lines for heading in sheet.headings[3:]] == [("kd",)]
    assert [[entry.text for entry in row] for row in sheet.rows] == [
        ["resnet20", "resnet56 aaaaaaaaaaaaaaaa", "from a file", "71.00"],
        ["resnet20", "resnet56 bbbbbbbbbbbbbbbb", "from a file", "72.00"],
    ]


@pytest.mark.parametrize(("state", "said"), [("failed", "failed"), ("done", "not measured")])
def test_kd_says_what_became_of_a_teacher(state, said):
    sweep = Sweep()
    teacher = sweep.trial("baseline", None, role="teacher", architecture="resnet56", state=state)
    for key in (teacher, "of a file"):
        sweep.trial("kd", 70.0, teacher__architecture="resnet56", teacher__key=key)
    assert [row[2] for row in shown(made(sweep, "kd"))] == [said, "from a file"]


def test_without_teachers_there_is_no_kd():
    sweep = Sweep()
    sweep.trial("baseline", 70.0)
    with pytest.raises(SpecError, match="no method of this sweep has a teacher"):
        made(sweep, "kd")
