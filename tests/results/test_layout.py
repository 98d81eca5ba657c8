"""Tables arranged for a page: forms, wrapped names, panels."""

import random
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from exeunt.results import render, tabulate
from exeunt.results.layout import wrapped
from exeunt.specs import SpecError
from pandas import DataFrame

from .tables.made_up import Sweep

ARCHITECTURES = (
    "resnet20",
    "torchvision/efficientnet_v2_s",
    "timm/convnextv2_atto.fcmae_ft_in1k",
    "vgg8",
    "wrn_16_1",
    "torchvision/mobilenet_v3_small",
)
METHODS = ("eed", "kd", "deep_supervision", "a_method_with_a_very_long_name")
PAGES = {
    "article": (r"\documentclass{article}", {}),
    "column": (r"\documentclass[twocolumn]{article}", {"width": 229.5}),
    "page": (r"\documentclass[twocolumn]{article}", {"width": 469.0, "floating": "table*"}),
    "5.5 in": (r"\documentclass{article}\usepackage[textwidth=5.5in]{geometry}", {"width": 397.0}),
    "siunitx": (r"\documentclass{article}\usepackage{siunitx}", {"siunitx": True}),
}


def generated(configurations: int, architectures: int, seed: int = 0) -> Sweep:
    """Return a sweep with a baseline, and methods whose settings vary, some of whose trials failed."""
    draw, sweep = random.Random(seed), Sweep()
    settings = [("baseline", {})]
    while len(settings) < configurations:
        varying = {
            "method__output_loss": draw.choice(["mse", "kl"]),
            "method__temperature": draw.choice(["1", "2.5", "4"]),
            "method__ensemble_weights": draw.choice(["uniform", "learned"]),
        }
        if (one := (draw.choice(METHODS), varying)) not in settings:
            settings.append(one)
    for architecture in ARCHITECTURES[:architectures]:
        for method, varying in settings:
            for trial_seed in range(3):
                how = {"architecture": architecture, "seed": trial_seed, **varying}
                if draw.random() < 0.05:
                    sweep.trial(
                        method, None, state="failed", error="/a/long/path/to/the_file_of_a_user.py:3: no", **how
                    )
                else:
                    exits = {f"test/{name}/top1": 50 + draw.random() for name in ("exit1", "exit2", "ensemble")}
                    sweep.trial(method, 60 + 20 * draw.random(), **how, **exits)
    return sweep


SIZES = [(1, 1), (4, 2), (10, 1), (16, 5)]
KINDS = ("main", "exits", "failures")


@pytest.mark.parametrize("width", [60, 80, 110, 200])
@pytest.mark.parametrize(("configurations", "architectures"), SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_text_fits_its_width_and_breaks_no_word(configurations, architectures, kind, width):
    sheet = tabulate(generated(configurations, architectures).frame(), kind)
    text = render(sheet, "text", width=width)
    assert max(map(len, text.splitlines())) <= width
    names = {name for record in sheet.records for name in (record["architecture"], *str(record["method"]).split()[:1])}
    assert names <= {word.strip(",:") for word in text.split()}


def test_text_keeps_every_number_in_every_form():
    sheet = tabulate(generated(10, 3).frame())
    numbers = {
        width: sorted(re.findall(r"\d+\.\d\d ± \d+\.\d\d", render(sheet, "text", width=width)))
        for width in (30, 60, 110, 1000)
    }
    assert len(numbers[1000]) > 20
    assert all(found == numbers[1000] for found in numbers.values())


def test_methods_go_across_as_long_as_they_fit():
    sheet = tabulate(generated(4, 2).frame())
    heads = {width: render(sheet, "text", width=width).partition(" ─")[0].splitlines()[-1:] for width in (300, 60)}
    assert "architecture" in render(sheet, "text", width=300)
    assert re.search(r"^  method ", render(sheet, "text", width=80), re.MULTILINE), heads
    assert "Best mean of each row" in render(sheet, "text", width=300)
    assert "Best mean of each column" in " ".join(render(sheet, "text", width=80).split())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
@pytest.mark.parametrize("page", PAGES)
def test_latex_has_no_overfull_box_and_no_error(page, tmp_path):
    frames = [generated(*size, seed=seed).frame() for seed, size in enumerate(SIZES)]
    assert complaints(frames, KINDS, page, tmp_path) == []


@pytest.mark.nightly
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("seed", range(20))
def test_latex_of_many_comparisons_has_no_overfull_box_and_no_error(page, seed, tmp_path):
    """From 1 to 16 configurations on 1 to 6 architectures."""
    frame = generated(1 + seed * 15 // 19, 1 + seed % 6, seed=100 + seed).frame()
    assert complaints([frame], KINDS, page, tmp_path) == []


def complaints(frames: list[DataFrame], kinds: Sequence[str], page: str, folder: Path) -> list[str]:
    """Return LaTeX's errors and overfull boxes in the tables of these frames; skip a page that is not installed."""
    head, how = PAGES[page]
    if "siunitx" in how and not _has_siunitx():
        pytest.skip("no siunitx on this machine")
    tables = [render(tabulate(frame, kind), "latex", **how) for frame in frames for kind in kinds]
    body = r"\clearpage ".join(tables)
    (folder / "t.tex").write_text(rf"{head}\usepackage{{booktabs}}\begin{{document}}{body}\end{{document}}")
    command = ["pdflatex", "-interaction=nonstopmode", "t.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert r"Output written" in done.stdout
    return re.findall(r"Overfull.*|^!.*|Float too large.*", done.stdout, re.MULTILINE)


def _has_siunitx() -> bool:
    return not subprocess.run(["kpsewhich", "siunitx.sty"], capture_output=True, check=False).returncode


@pytest.mark.parametrize(
    ("options", "heading", "rows"),
    [
        ({"columns": "architecture"}, ["method", "resnet20", "vgg8"], 2),
        ({"rows": "architecture,dataset"}, ["architecture", "baseline", "eed"], 3),
        ({"columns": "dataset"}, ["architecture", "method", "cifar100"], 4),
        ({"transpose": True}, ["method", "resnet20", "vgg8", "all 2 columns"], 2),
    ],
)
def test_axes_are_arranged_by_hand(options, heading, rows):
    sweep = Sweep()
    for architecture in ("resnet20", "vgg8"):
        sweep.trial("baseline", 70.0, architecture=architecture)
        sweep.trial("eed", 71.0, architecture=architecture)
    sheet = tabulate(sweep.frame(), **options)
    assert [" ".join(one.lines) for one in sheet.headings] == heading
    assert len(sheet.rows) == rows
    assert render(sheet, "csv") == render(tabulate(sweep.frame()), "csv"), "the numbers are the same"


def test_datasets_are_columns_of_several_sweeps():
    sweep = Sweep()
    for dataset in ("cifar10", "folder:/home/me/flowers"):
        sweep.trial("baseline", 70.0, dataset=dataset)
        sweep.trial("eed", 71.0, dataset=dataset)
    sheet = tabulate(sweep.frame(), columns="dataset")
    assert [one.lines[-1] for one in sheet.headings] == ["architecture", "method", "cifar10", "flowers"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": "metod"}, "unknown axis 'metod'; the nearest is 'method'"),
        ({"rows": "method", "columns": "method"}, "method is in both rows and columns"),
        ({"columns": "method,architecture,dataset"}, "an axis in its rows and one in its columns"),
        ({"only": ["eeed"]}, "--only eeed matches nothing in this table; the nearest is 'eed'"),
        ({"hide": ["*"]}, "leave nothing to show"),
        ({"metric": "test/final/top6"}, "unknown metric 'test/final/top6'; the nearest is 'test/final/top1'"),
    ],
)
def test_wrong_options_are_one_message(options, message):
    sweep = Sweep()
    sweep.trial("baseline", 70.0)
    sweep.trial("eed", 71.0)
    with pytest.raises(SpecError, match=re.escape(message)):
        tabulate(sweep.frame(), **options)


def test_hidden_configurations_still_count_in_the_correction():
    sweep = Sweep()
    for seed in range(4):
        for method, gain in {"baseline": 0.0, "eed": 1.0, "kd": 0.3, "byot": 0.1}.items():
            sweep.trial(method, 70 + gain + 0.1 * seed * seed * gain, seed=seed)
    whole, part = tabulate(sweep.frame()), tabulate(sweep.frame(), hide=["kd", "byot/*"])
    of_eed = [next(record for record in sheet.records if record["method"] == "eed") for sheet in (whole, part)]
    assert of_eed[0] == of_eed[1]
    assert {record["method"] for record in part.records} == {"baseline", "eed"}
    assert any("over 3 comparisons" in remark for remark in part.remarks)


def test_caption_label_and_digits():
    sweep = Sweep()
    sweep.trial("baseline", 70.1234)
    latex = render(tabulate(sweep.frame(), caption="Mine.", label="tab:mine", digits=1), "latex")
    assert r"\caption{Mine. Best mean of each row in bold.}" in latex
    assert r"\label{tab:mine}" in latex
    assert "70.1" in latex
    assert "70.12" not in latex


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("a_very_long_word", 5, ["a_very_long_word"]),
        ("", 5, []),
    ],
)
def test_texts_are_wrapped_between_words(text, width, lines):
    assert wrapped(text, width, len) == lines


def test_a_long_word_is_broken_where_it_may():
    assert wrapped("tried a_very_long_word", 8, len, breaks="_") == ["tried a_", "very_", "long_", "word"]
