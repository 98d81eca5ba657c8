import pytest
from exeunt.results import tabulate
from exeunt.specs import SpecError

from .made_up import SPECIAL, Sweep, made, shown


def test_ablation(sweep):
    sheet = made(sweep, "ablation")
    assert [heading.lines for heading in sheet.headings] == [("",), ("exits=all",), ("exits=all,block1",)]
    assert shown(sheet)[:3] == [
        ["resnet20 temperature=1", "73.00 ± 1.00", "72.50 ± 0.71 2 of 3"],
        ["resnet20 temperature=3", "74.00 ± 1.00", "73.50 ± 0.71 2 of 3"],
        [f"net {SPECIAL} temperature=1", "74.00 ± 1.00", "73.50 ± 0.71 2 of 3"],
    ]
    assert "seed 2 failed" in sheet.notes[0]
    assert "1 not run" in sheet.notes[1]


def test_ablation_over_architectures_has_no_rows_for_them(sweep):
    sheet = tabulate(sweep.frame(), "ablation", rows="architecture", columns="method.temperature", method="eed")
    assert [row[0] for row in shown(sheet)] == [
        "exits=all architecture=resnet20",
        f"exits=all architecture=net {SPECIAL}",
        "exits=all,block1 architecture=resnet20",
        f"exits=all,block1 architecture=net {SPECIAL}",
    ]


def test_an_ablation_has_exits_as_the_sweep_file_says_it():
    sweep = Sweep()
    for architecture, blocks in (("resnet8", ("1", "block2")), ("resnet20", ("block2", "block5"))):
        for exits, placement in zip(("25%", "50%"), blocks, strict=True):
            for head in ("conv", "linear"):
                settings = {"exits__placement": placement, "exits__head": head}
                sweep.trial("eed", 70.0, architecture=architecture, exits=exits, seeds=1, **settings)
    sheet = tabulate(sweep.frame(), "ablation", rows="head", columns="exits")
    assert [heading.lines for heading in sheet.headings[1:]] == [("exits=25%",), ("exits=50%",)]
    assert [row[1:] for row in shown(sheet)] == [["70.00", "70.00"]] * 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs two axes"),
        ({"rows": "temperature"}, "needs two axes"),
        ({"rows": "temperatur", "columns": "exits"}, "unknown axis 'temperatur'; the nearest is 'temperature'"),
        ({"rows": "exits", "columns": "exits"}, "must differ"),
        ({"rows": "temperature", "columns": "epochs"}, "no method varies in both temperature and epochs"),
        ({"rows": "temperature", "columns": "exits", "method": "ed"}, "'ed'; the nearest is 'eed'"),
    ],
)
def test_an_ablation_says_which_axes_there_are(sweep, options, message):
    with pytest.raises(SpecError, match=message):
        tabulate(sweep.frame(), "ablation", **options)
