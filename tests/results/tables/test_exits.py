from .made_up import made, shown


def test_exits_and_ensemble(sweep):
    sheet = made(sweep, "exits")
    assert [heading.lines for heading in sheet.headings[2:]] == [("exit 1",), ("exit 2",), ("final",), ("ensemble",)]
    lines = {tuple(row[:2]): row[2:] for row in shown(sheet)}
    assert lines["resnet20", "baseline"] == ["–", "–", "70.00 ± 1.00", "–"]
    assert lines["resnet20", "eed temperature=1, exits=all"] == [
        "64.00 ± 1.00",
        "71.00 ± 1.00",
        "73.00 ± 1.00",
        "74.00 ± 1.00",
    ]
    assert lines["resnet20", "eed temperature=1, exits=all,block1"][2] == "72.50 ± 0.71 2 of 3"
    best = [row[1].text for row in sheet.rows if row[4].rank == "best" and row[0].text == "resnet20"]
    assert best == ["eed temperature=3, exits=all"]
    records = [record for record in sheet.records if record["exit"] == "ensemble" and record["method"] == "baseline"]
    assert [record["mean"] for record in records] == [None, None]
