from exeunt.results import tabulate

from .made_up import made, shown


def test_cost(sweep):
    sheet = made(sweep, "cost")
    assert [" ".join(heading.lines) for heading in sheet.headings[2:]] == [
        "parameters deployed, M",
        "multiply-adds per image, M",
        "seconds per epoch",
        "device- hours",
        "memory, GiB",
    ]
    lines = {tuple(row[:2]): row[2:] for row in shown(sheet)}
    assert lines["resnet20", "baseline"] == ["0.28", "40.0", "15.00", "1.000", "1.00"]
    assert lines["resnet20", "eed temperature=1, exits=all,block1"][1] == "40.0 2 of 3"


def test_device_hours_count_every_device(sweep):
    frame = sweep.frame().assign(**{"environment.processes": "4"})
    lines = {tuple(row[:2]): row[2:] for row in shown(tabulate(frame, "cost"))}
    assert lines["resnet20", "baseline"] == ["0.28", "40.0", "15.00", "4.000", "1.00"]
