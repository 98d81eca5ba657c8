import pytest
from exeunt.results.tables.published import reported
from exeunt.specs import SpecError

from .made_up import Sweep, made, shown


def test_published_figures_stand_beside_ours(sweep):
    sheet = made(sweep, "published")
    lines = {tuple(row[:3]): row[3:] for row in shown(sheet)}
    assert lines["resnet20", "baseline", ""] == ["70.00 ± 1.00", "69.06 [1]"]
    assert lines["resnet20", "kd teacher=resnet56", "resnet56"] == ["72.00 ± 1.00", "70.66 [1]"]
    assert lines["resnet20", "kd teacher=self", "resnet20"] == ["71.00 ± 1.00", "–"]
    assert lines["resnet20", "crd", "resnet56"] == ["–", "71.16 [1]"]
    assert sheet.notes[-2] == "[1] github HobbitLong/RepDistiller README @b84f547: last epoch, 240 epochs."
    assert any("sources below, which differ in recipe" in remark for remark in sheet.remarks)
    assert sheet.ranked == ""
    assert not any(entry.rank for row in sheet.rows for entry in row)
    (record,) = (record for record in sheet.records if record["method"] == "crd")
    assert (record["our_mean"], record["reported_top1"]) == (None, 71.16)


def test_every_reported_figure_has_a_source():
    figures = reported()
    assert len(figures) > 100
    assert (figures["source"] != "").all()
    assert figures["top1"].between(0, 100).all()


def test_where_nothing_is_reported_it_is_said():
    sweep = Sweep()
    sweep.trial("baseline", 70.0, architecture="odd", dataset="digits")
    with pytest.raises(SpecError, match="no published results for odd on digits"):
        made(sweep, "published")
