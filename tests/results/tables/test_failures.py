from exeunt.results import FORMATS, render

from .made_up import Sweep, made, shown


def test_failures(sweep):
    sweep.trial("baseline", role="teacher", architecture="resnet110", state="diverged", error="loss is nan")
    sheet = made(sweep, "failures")
    assert "2 failed, 1 diverged, 2 not run" in sheet.title
    rows = shown(sheet)
    assert len(rows) == 5
    assert rows[0][:5] == ["resnet20", "eed temperature=1, exits=all,block1", "2", "result", "failed"]
    assert rows[2][3:6] == ["teacher", "diverged", "loss is nan"]
    assert rows[-1][2:5] == ["", "result", "not run"]


def test_without_failures_the_table_is_empty_in_every_format():
    sweep = Sweep()
    sweep.trial("baseline", 70.0, seeds=1)
    sheet = made(sweep, "failures")
    assert (sheet.title, sheet.rows) == ("made-up: trials without a result: none", ())
    for format in FORMATS:
        assert render(sheet, format).endswith("\n")
