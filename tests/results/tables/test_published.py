import pytest
from exeunt.models import architectures, parameters
from exeunt.models.layers import without_weights
from exeunt.results.tables.published import reported
from exeunt.specs import SpecError
from exeunt.training.data import datasets

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
    (record,) = (one for one in sheet.records if (one["method"], one["teacher"]) == ("crd", "resnet56"))
    assert (record["our_mean"], record["reported_top1"]) == (None, 71.16)


def test_every_reported_figure_has_a_source():
    figures = reported()
    assert len(figures) > 120
    assert (figures["source"] != "").all()
    assert figures["top1"].between(0, 100).all()


def test_where_nothing_is_reported_it_is_said():
    sweep = Sweep()
    sweep.trial("baseline", 70.0, architecture="odd", dataset="digits")
    with pytest.raises(SpecError, match="no published results for odd on digits"):
        made(sweep, "published")


@pytest.mark.parametrize(
    ("count", "state", "is_shown"), [(278_324, "done", True), (278_324, "running", False), (278_325, "done", False)]
)
def test_a_figure_stands_beside_a_completed_network_of_as_many_parameters_only(count, state, is_shown):
    sweep = Sweep()
    sweep.trial("baseline", 72.0, architecture="resnet32", **{"cost/final/parameters": 472_756.0})
    sweep.trial("baseline", 69.0, state=state, **{"cost/final/parameters": float(count)})
    rows = {row[0]: row[-1] for row in shown(made(sweep, "published")) if row[1] == "baseline"}
    assert rows == {"resnet32": "71.14 [1]", "resnet20": "69.06 [1]" if is_shown else "–"}


def test_the_network_of_each_figure_has_as_many_parameters_as_ours_of_that_name():
    counts = {}
    for dataset, name in sorted(set(zip(reported()["dataset"], reported()["architecture"], strict=True))):
        with without_weights():
            counts[dataset, name] = parameters(architectures[name](channels=3, classes=datasets[dataset].classes))
    for row in reported().itertuples():
        assert row.parameters == counts[row.dataset, row.architecture], f"{row.architecture} of {row.source}"


def test_the_teacher_of_each_figure_is_an_architecture():
    assert set(reported()["teacher"]) - {""} <= set(architectures)
