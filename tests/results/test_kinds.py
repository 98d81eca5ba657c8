"""Tables of every kind, from frames as `load` gives them."""

import csv
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from exeunt.results import FORMATS, KINDS, Sheet, render, tabulate
from exeunt.results.frame import TYPES
from exeunt.results.kinds.published import reported
from exeunt.specs import SpecError

SPECIAL = r"_ % & # ~ ^ \ $ { }"
OPTIONS = {"ablation": {"rows": "temperature", "columns": "exits"}}


class Sweep:
    """A made-up sweep."""

    def __init__(self) -> None:
        self.trials: list[dict[str, object]] = []

    def trial(self, method: str, accuracy: float | None = None, **columns: object) -> str:
        order = len(self.trials)
        parameters = {name.replace("__", "."): columns.pop(name) for name in list(columns) if "__" in name}
        trial = dict.fromkeys(TYPES) | {
            "sweep": "made-up",
            "key": f"{order:016x}",
            "run_id": f"{order:032x}",
            "role": "result",
            "state": "done",
            "dataset": "cifar100",
            "architecture": "resnet20",
            "method": method,
            "seed": 0,
            "seeds": 3,
            "order": order,
            "protocol": "last epoch on test",
            "param.recipe.epochs": "240",
            "test/final/top1": accuracy,
        }
        self.trials.append(trial | {f"param.{name}": value for name, value in parameters.items()} | columns)
        return trial["key"]

    def history(self) -> pd.DataFrame:
        """Four epochs of each trial that is done, the last of which is its accuracy less one point."""
        return pd.DataFrame(
            {"key": trial["key"], "epoch": epoch, "split": split, "exit": "final", "top1": top1 - distance}
            for trial in self.trials
            if trial["state"] == "done" and (top1 := trial["test/final/top1"])
            for epoch, distance in ((4, 1.0), (1, 40.0), (2, 3.0), (3, 2.0))
            for split in ("train", "validation")
        )

    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(self.trials).astype(TYPES)


@pytest.fixture
def sweep() -> Sweep:
    """Two architectures, a teacher of its own and a large one, EED with two axes, and trials that went wrong."""
    made = Sweep()
    teacher = made.trial("baseline", 74.0, architecture="resnet56", role="teacher", seeds=1)
    for index, architecture in enumerate(("resnet20", f"net {SPECIAL}")):
        costs = {
            "training_seconds": 3600.0,
            "seconds": 15.0,
            "peak_memory_bytes": 2.0**30,
            "cost/final/multiply_adds": 40e6 * (index + 1),
        }
        own = None
        for seed in range(3):
            common = {"architecture": architecture, "seed": seed} | costs
            key = made.trial("baseline", 69.0 + seed + index, **common)
            own = own or key
            for name, teacher_key in (("resnet56", teacher), (architecture, own)):
                taught = {"teacher__architecture": name, "teacher__key": teacher_key}
                made.trial("kd", 70.0 + seed + index + (name == "resnet56"), **taught, **common)
            for temperature in ("1", "3"):
                for exits in ("all", "all,block1"):
                    settings = {"method__temperature": temperature, "exits__placement": exits}
                    if exits == "all" or seed < 2:
                        top1 = 71.5 + seed + index + int(temperature) / 2
                        measured = {"test/exit1/top1": top1 - 9, "test/ensemble/top1": top1 + 1}
                        measured |= {"test/exit2/top1": top1 - 2, "cost/exit1/multiply_adds": 8e6 * (index + 1)}
                        measured |= {"cost/exit2/multiply_adds": 25e6 * (index + 1)}
                        made.trial("eed", top1, **settings, **measured, **common)
                    elif temperature == "1":
                        made.trial("eed", None, state="failed", error=f"=1+1 <script> {SPECIAL}", **settings, **common)
    return made


def made(sweep: Sweep, kind: str) -> Sheet:
    return tabulate(sweep.frame(), kind, **OPTIONS.get(kind, {}), history=sweep.history)


def shown(sheet: Sheet) -> list[list[str]]:
    """Texts and details of each row."""
    return [[" ".join([entry.text, *entry.details]) for entry in row] for row in sheet.rows]


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
        ({"rows": "temperature", "columns": "epochs"}, "in both temperature and epochs, but none does"),
        ({"rows": "temperature", "columns": "exits", "method": "ed"}, "'ed'; the nearest is 'eed'"),
    ],
)
def test_an_ablation_says_which_axes_there_are(sweep, options, message):
    with pytest.raises(SpecError, match=message):
        tabulate(sweep.frame(), "ablation", **options)


def test_kd_has_a_row_for_each_student_and_teacher(sweep):
    sheet = made(sweep, "kd")
    assert [heading.lines[0] for heading in sheet.headings] == [
        "student", "teacher", "teacher's", "baseline", "kd", *["eed"] * 4,
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


def test_cost(sweep):
    sheet = made(sweep, "cost")
    assert [" ".join(heading.lines) for heading in sheet.headings[2:]] == [
        "multiply-adds per image, M",
        "seconds per epoch",
        "device- hours",
        "memory, GiB",
    ]
    lines = {tuple(row[:2]): row[2:] for row in shown(sheet)}
    assert lines["resnet20", "baseline"] == ["40.0", "15.00", "1.000", "1.00"]
    assert lines["resnet20", "eed temperature=1, exits=all,block1"][0] == "40.0 2 of 3"


def test_device_hours_count_every_device(sweep):
    frame = sweep.frame().assign(**{"environment.processes": "4"})
    lines = {tuple(row[:2]): row[2:] for row in shown(tabulate(frame, "cost"))}
    assert lines["resnet20", "baseline"] == ["40.0", "15.00", "4.000", "1.00"]


def test_early_exit_at_one_exit(sweep):
    sheet = made(sweep, "early-exit")
    lines = {tuple(row[:2]): row[2:] for row in shown(sheet)}
    assert lines["resnet20", "baseline"] == ["at one exit", "–", "–", "–", "70.00 ± 1.00", "1.00"]
    first, second = "64.00 ± 1.00", "71.00 ± 1.00"
    of_eed = ["at one exit", first, first, second, "73.00 ± 1.00", "1.60"]
    assert lines["resnet20", "eed temperature=1, exits=all"] == of_eed
    assert lines["resnet20", "eed temperature=1, exits=all,block1"][3] == "70.50 ± 0.71 2 of 3"
    assert lines["resnet20", "kd teacher=self"][-1] == "1.00"


def test_early_exit_when_sure(sweep):
    frame = sweep.frame()
    own = (frame["architecture"] == "resnet20") & (frame["method"] == "eed") & (frame["state"] == "done")
    own &= (frame["param.method.temperature"] == "3") & (frame["param.exits.placement"] == "all")
    assert own.sum() == 3
    for number, index in enumerate(frame.index[own]):
        points = [[0.1, 8e6, 60.0 + number], [0.5, 16e6, 69.0 + number], [0.9, 32e6, 71.0 + number]]
        frame.loc[index, "early_exit"] = json.dumps([*points, [0.99, 44e6, 80.0]])
    sheet = tabulate(frame, "early-exit")
    (line,) = (row for row in shown(sheet) if row[2] == "when sure")
    assert line[:2] == ["resnet20", "eed temperature=3, exits=all"]
    assert line[3:7] == ["61.00 ± 1.00", "70.00 ± 1.00", "70.00 ± 1.00", "72.00 ± 1.00"]
    # The baseline's mean is 70: reached at 32e6, 16e6 (70.0) and 16e6 (71.0) of 40e6.
    assert line[7] == f"{(40 / 32 + 40 / 16 + 40 / 16) / 3:.2f}"
    quantities = [record["quantity"] for record in sheet.records if record["leaving"] == "when sure"]
    assert quantities == ["within 25%", "within 50%", "within 75%", "within 100%", "speed-up at equal accuracy"]


def test_what_is_never_as_accurate_as_the_baseline_has_no_speed_up(sweep):
    frame = sweep.frame()
    frame.loc[frame["method"] == "eed", ["test/exit1/top1", "test/exit2/top1", "test/final/top1"]] -= 20
    lines = {tuple(row[:2]): row[2:] for row in shown(tabulate(frame, "early-exit"))}
    assert lines["resnet20", "eed temperature=1, exits=all"][-1] == "–"


def test_without_the_cost_of_exits_there_is_no_early_exit(sweep):
    frame = sweep.frame().drop(columns="cost/final/multiply_adds")
    with pytest.raises(SpecError, match="no trial of this sweep has recorded what its exits cost"):
        tabulate(frame, "early-exit")


def test_published_figures_stand_beside_ours(sweep):
    sheet = made(sweep, "published")
    lines = {tuple(row[:3]): row[3:] for row in shown(sheet)}
    assert lines["resnet20", "baseline", ""] == ["70.00 ± 1.00", "69.06 [1]"]
    assert lines["resnet20", "kd teacher=resnet56", "resnet56"] == ["72.00 ± 1.00", "70.66 [1]"]
    assert lines["resnet20", "kd teacher=self", "resnet20"] == ["71.00 ± 1.00", "–"]
    assert lines["resnet20", "crd", "resnet56"] == ["–", "71.16 [1]"]
    assert sheet.notes[-2] == "[1] github HobbitLong/RepDistiller README @b84f547: last epoch, 240 epochs."
    assert any("reported figures are from the sources below" in remark for remark in sheet.remarks)
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
    with pytest.raises(SpecError, match="nothing is reported of what this sweep trains: odd on digits"):
        made(sweep, "published")


def test_convergence(sweep):
    sheet = made(sweep, "convergence")
    assert [heading.lines[-1] for heading in sheet.headings[2:]] == ["90%", "95%", "99%", "100%", "area"]
    assert sheet.remarks[0].startswith("Accuracy: validation top-1 accuracy of the final exit, after each epoch")
    lines = {tuple(row[:2]): row[2:] for row in shown(sheet)}
    # The baseline ends at 68, 69 and 70, so that 69 has to be reached.
    assert lines["resnet20", "baseline"][3] == "3.5 ± 0.7 2 of 3"
    assert lines["resnet20", "kd teacher=resnet56"][:4] == ["2.0 ± 0.0", "2.0 ± 0.0", "2.3 ± 0.6", "2.3 ± 0.6"]
    # (32 + 69) / 2, (69 + 70) / 2 and (70 + 71) / 2 of the middle seed, by three.
    assert lines["resnet20", "kd teacher=resnet56"][4] == "63.50 ± 1.00"
    assert lines["resnet20", "eed temperature=1, exits=all,block1"][4].endswith("2 of 3")
    (record, *_) = (record for record in sheet.records if record["quantity"] == "epochs to 100%")
    assert record["target"] == pytest.approx(69.0)


def test_a_method_that_stays_below_the_baseline_does_not_reach_it():
    sweep = Sweep()
    sweep.trial("baseline", 70.0, seeds=1)
    sweep.trial("eed", 60.0, seeds=1)
    sweep.trial("kd", state="diverged", seeds=1)
    _, eed, kd = shown(made(sweep, "convergence"))
    assert eed[2:6] == ["not reached 0 of 1"] * 4
    assert kd[2] == "diverged 0 of 1"


def test_stability(sweep):
    lines = {tuple(row[:2]): row[2:] for row in shown(made(sweep, "stability"))}
    over_epochs = np.std([-40.0, -3.0, -2.0, -1.0], ddof=1)
    assert lines["resnet20", "baseline"] == ["70.00", "1.00", f"{over_epochs:.2f}"]
    assert lines["resnet20", "eed temperature=3, exits=all,block1"][0].endswith("2 of 3")


@pytest.mark.parametrize("kind", ["convergence", "stability"])
def test_without_a_history_there_are_no_curves(sweep, kind):
    with pytest.raises(SpecError, match="needs the history"):
        tabulate(sweep.frame(), kind)
    empty = sweep.history().iloc[:0]
    with pytest.raises(SpecError, match="no accuracy is recorded epoch by epoch yet"):
        tabulate(sweep.frame(), kind, history=lambda: empty)


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


def test_an_unknown_kind_names_the_nearest(sweep):
    with pytest.raises(SpecError, match="unknown kind of table 'exit'; the nearest is 'exits'"):
        made(sweep, "exit")


def test_only_an_ablation_has_axes(sweep):
    with pytest.raises(SpecError, match="'exits' has no rows to choose"):
        tabulate(sweep.frame(), "exits", rows="temperature")


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_the_frame_changes_no_byte(sweep, kind):
    frame, options = sweep.frame(), OPTIONS.get(kind, {}) | {"history": sweep.history}
    sheet, *others = (tabulate(frame.sample(frac=1, random_state=attempt), kind, **options) for attempt in range(3))
    for format in FORMATS:
        assert {render(other, format) for other in others} == {render(sheet, format)}


@pytest.mark.parametrize("kind", KINDS)
def test_csv_and_json_hold_the_same_records(sweep, kind):
    sheet = made(sweep, kind)
    lines = list(csv.DictReader(io.StringIO(render(sheet, "csv"))))
    content = json.loads(render(sheet, "json"))
    assert content["title"] == sheet.title
    assert [list(line) for line in lines] == [list(record) for record in content["records"]]
    assert not any(str(cell).startswith("=") for line in lines for cell in line.values())
    numbers = [value for record in content["records"] for value in record.values() if isinstance(value, float)]
    assert np.isfinite(numbers).all()


class Reader(HTMLParser):
    """Collects the tags of a page and how many cells each row has."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.rows: list[int] = []

    def handle_starttag(self, tag, _attributes):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.rows[-1] += 1


@pytest.mark.parametrize("kind", KINDS)
def test_html_is_a_table_and_nothing_that_came_from_a_file(sweep, kind):
    sweep.trial("eed", 70.0, architecture="<script>alert(1)</script>", method__temperature="<b>", exits__placement="&")
    sheet = made(sweep, kind)
    page = render(sheet, "html")
    reader = Reader()
    reader.feed(page)
    known = {"table", "caption", "thead", "tbody", "tr", "th", "td", "br", "small", "strong", "u", "sup", "p"}
    assert reader.tags <= known
    assert set(reader.rows) == {len(sheet.headings)}
    assert page.count('scope="row"') == len(sheet.rows)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
@pytest.mark.parametrize("kind", KINDS)
def test_latex_of_every_kind_compiles(sweep, kind, tmp_path):
    for architecture in ("[bold]", "*net|<b>`", "naïve – 模型 ±"):
        odd = {"architecture": architecture, "method__temperature": SPECIAL, "exits__placement": SPECIAL}
        sweep.trial("eed", 70.0, **odd)
        taught = {"architecture": architecture, "teacher__architecture": "[a]", "teacher__key": "x"}
        sweep.trial("kd", None, state="failed", error=SPECIAL, **taught)
    assert compiled(render(made(sweep, kind), "latex"), tmp_path)


def compiled(table: str, folder: Path) -> int:
    """Compiles a document with this table alone; gives its number of pages."""
    packages = "booktabs,longtable" if "longtable" in table else "booktabs"
    document = rf"\documentclass{{article}}\usepackage{{{packages}}}\begin{{document}}{table}\end{{document}}"
    (folder / "table.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "table.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    return int(re.search(r"\((\d+) pages?", done.stdout)[1])


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
def test_latex_of_many_rows_breaks_over_pages_between_rows(sweep, tmp_path):
    for number in range(40):
        for seed in range(2):
            sweep.trial("baseline", 70.0 + seed, architecture=f"net{number}", seed=seed)
            sweep.trial("eed", 71.0 + seed, architecture=f"net{number}", seed=seed, method__temperature="1")
    table = render(made(sweep, "main"), "latex")
    assert compiled(table, tmp_path) > 2
    assert table.count(r"\toprule") == 2  # of the first page, and of the others
    lines = table.splitlines()
    (at,) = (number for number, line in enumerate(lines) if line.startswith("net7 "))
    assert lines[at].endswith(r"\\*"), "a page must not end between a value and what stands below it"
    assert not lines[at + 1].endswith("*")


def test_every_commit_is_named_with_what_was_changed_in_it(sweep):
    frame = sweep.frame()
    frame["commit"] = ["0123456789ab", "ba9876543210+changes"] * (len(frame) // 2) + [""] * (len(frame) % 2)
    assert "Commit: 0123456789ab, ba9876543210+changes" in tabulate(frame).remarks
