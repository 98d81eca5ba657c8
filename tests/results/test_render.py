import csv
import io
import shutil
import subprocess

import pytest
from exeunt.results import FORMATS, Table, comparison, load, main, render, to_rich
from exeunt.specs import SpecError
from rich.console import Console

SPECIAL = r"_ % & # ~ ^ \ $ { }"


def written(table: Table, format: str = "text") -> str:
    return render(main(table), format)


def compared(sweep) -> Table:
    return comparison(load(sweep.tracking_uri, sweep.sweep))


@pytest.fixture
def quickstart(record) -> Table:
    sweep = record()
    sweep.trials("baseline", 94.0, 95.0, 96.0)
    sweep.trials("eed", 96.0, 97.0, 98.0, method__output_loss="mse")
    sweep.trials("eed", 94.5, 94.0, 95.0, method__output_loss="kl")
    return compared(sweep)


@pytest.fixture
def partial(record) -> Table:
    sweep = record()
    sweep.trials("baseline", 94.0, 96.0)
    sweep.trial("baseline", seed=2, state="failed", error="\x1b[31mout of\nmemory")
    for seed in range(3):
        sweep.trial("eed", seed=seed, state="diverged", error="loss is nan")
    return compared(sweep)


def test_text(quickstart):
    assert (
        written(quickstart)
        == """\
test_text on digits: test top-1 accuracy of the final exit in %. Protocol: last epoch on test. Mean
± sample standard deviation over n = 3 seeds. Signed numbers: difference from baseline in percentage
points. Holm-corrected paired t-tests over 2 comparisons: none significant (p < 0.05). Wilcoxon
signed-rank test: smallest possible p = 0.25 with 3 pairs of seeds; p < 0.05 requires 6 pairs, or 7
after correction. Best mean of each row marked *, second best °.

  architecture         baseline               eed              eed
                                  output_loss=mse   output_loss=kl
 ──────────────────────────────────────────────────────────────────
  resnet8        ° 95.00 ± 1.00    * 97.00 ± 1.00     94.50 ± 0.50
                            n=3        +2.00, n=3       -0.50, n=3

"""
    )


def test_text_says_what_is_missing(partial):
    printed = written(partial)
    assert "95.00 ± 1.41" in printed
    assert "2 of 3" in printed
    assert "0 of 3" in printed
    assert "resnet8, baseline: seed 2 failed ( [31mout of memory).\n" in printed
    assert "resnet8, eed: seed 0 diverged (loss is nan), seed 1 diverged" in printed
    assert "over the n completed seeds" in printed
    assert "\x1b" not in printed
    assert "0.00" not in printed


def test_one_seed_shows_no_deviation(record):
    sweep = record()
    sweep.trial("baseline", 94.0, seeds=1)
    printed = written(compared(sweep))
    assert "Single seed (n = 1)" in printed
    assert "±" not in printed


def test_without_a_baseline_the_caption_explains_no_sign(record):
    sweep = record()
    sweep.trials("eed", 94.0, 95.0, 96.0)
    assert "Signed" not in written(compared(sweep))


def test_a_tiny_loss_of_accuracy_is_not_minus_zero(record):
    sweep = record()
    sweep.trial("baseline", 94.001)
    sweep.trial("eed", 94.0)
    assert "+0.00" in written(compared(sweep))


def test_csv_is_a_line_per_cell_in_full_precision(quickstart):
    lines = list(csv.DictReader(io.StringIO(written(quickstart, "csv"))))
    assert [line["method"] for line in lines] == ["baseline", "eed output_loss=mse", "eed output_loss=kl"]
    assert {name: lines[1][name] for name in [*lines[1]][:12]} == {
        "dataset": "digits",
        "architecture": "resnet8",
        "settings": "",
        "method": "eed output_loss=mse",
        "metric": "test/final/top1",
        "protocol": "last epoch on test",
        "mean": "97.0",
        "std": "1.0",
        "n": "3",
        "planned": "3",
        "difference": "2.0",
        "note": "",
    }
    assert float(lines[2]["difference"]) == -0.5


def test_csv_leaves_what_is_missing_empty(partial):
    lines = list(csv.DictReader(io.StringIO(written(partial, "csv"))))
    assert (lines[1]["mean"], lines[1]["std"], lines[1]["difference"], lines[1]["n"]) == ("", "", "", "0")
    assert lines[1]["note"].startswith("seed 0 diverged (loss is nan)")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", " \n-", "＝", "＋", "－", "＠"])
def test_csv_text_that_a_spreadsheet_would_run_is_neutralised(record, start):
    sweep = record()
    sweep.trial("eed", 94.0, architecture=f"{start}cmd|' /C calc'!A0")
    (line,) = csv.DictReader(io.StringIO(written(compared(sweep), "csv"), newline=""))
    assert line["architecture"] == f"'{start.strip()}cmd|' /C calc'!A0"


def test_csv_text_that_is_a_number_is_no_formula(record):
    sweep = record()
    sweep.trial("eed", 94.0, architecture="-0.5e-3")
    (line,) = csv.DictReader(io.StringIO(written(compared(sweep), "csv"), newline=""))
    assert line["architecture"] == "-0.5e-3"


def test_latex(quickstart):
    before, label, after = written(quickstart, "latex").partition(r"\label{tab:test-latex:test-final-top1}")
    assert label
    assert before == (
        "\\begin{table}\n\\centering\n"
        r"\caption{test\_latex on digits: test top-1 accuracy of the final exit in \%. "
        "Best mean of each row in bold, second best underlined.}\n"
    )
    table, _, footnotes = after.partition("\n\\par\\smallskip")
    assert (
        table
        == r"""
\begin{tabular}{@{}lrrr@{}}
\toprule
architecture & baseline & eed & eed \\
 &  & output\_loss=mse & output\_loss=kl \\
\midrule
resnet8 & \underline{95.00 $\pm$ 1.00} & \textbf{97.00 $\pm$ 1.00} & 94.50 $\pm$ 0.50 \\
 & n=3 & $+2.00$, n=3 & $-0.50$, n=3 \\
\bottomrule
\end{tabular}"""
    )
    assert footnotes.startswith(
        r"{\footnotesize\raggedright Protocol: last epoch on test. Mean $\pm$ sample standard dev"
    )
    assert footnotes.endswith("\\par}\n\\end{table}\n")


@pytest.fixture
def awkward(record, request) -> Table:
    """Table with names of all special characters of the formats."""
    sweep = record(f"{SPECIAL} {request.node.name}")
    for architecture in (f"net {SPECIAL}", "[bold]net[/bold]", "*net|<b>`"):
        sweep.trial("baseline", 94.0, seeds=1, architecture=architecture)
        sweep.trial("eed", 95.0, seeds=1, architecture=architecture, method__odd=SPECIAL)
        sweep.trial("eed", seeds=1, architecture=architecture, state="failed", error=SPECIAL, method__odd="-")
    return compared(sweep)


def test_decimal_points_are_in_line(record):
    sweep = record()
    sweep.trials("eed", 94.0, 95.0, 96.0)
    sweep.trial("eed", 9.5, seeds=1, architecture="resnet14")
    sweep.trials("eed", 40.0, 60.0, 80.0, architecture="vgg8")
    lines = [line for line in written(compared(sweep)).splitlines() if line.startswith(("  resnet", "  vgg"))]
    assert [line.split(maxsplit=1)[1].strip("* ") for line in lines] == ["95.00 ±  1.00", "9.50", "60.00 ± 20.00"]
    assert len({line.index(".") for line in lines}) == 1
    assert r"\textbf{9.50}\phantom{ $\pm$ 20.00} \\" in written(compared(sweep), "latex")


def test_latex_escapes_every_special_character(awkward):
    escaped = r"\_ \% \& \# \textasciitilde{} \textasciicircum{} \textbackslash{} \$ \{ \}"
    output = render(main(awkward), "latex", width=2000)
    assert rf"\caption{{{escaped} test\_" in output
    assert f"\nnet {escaped} & " in output
    assert f" & odd={escaped} & " in output
    assert f"failed ({escaped})" in output
    assert "\n{[}bold]net{[}/bold] & " in output
    assert "\n{*}net\\textbar{}\\textless{}b\\textgreater{}` & " in output


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
def test_latex_compiles_with_booktabs_alone(awkward, partial, tmp_path):
    tables = written(awkward, "latex") + written(partial, "latex")
    document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{tables}\end{{document}}"
    (tmp_path / "tables.tex").write_text(document, encoding="utf-8")
    subprocess.run(["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "tables.tex"], cwd=tmp_path, check=True)


def test_markdown(partial):
    assert written(partial, "markdown").splitlines()[2:] == [
        "| architecture | baseline | eed |",
        "| --- | ---: | ---: |",
        "| resnet8 | **95.00 ± 1.41** (2 of 3) | diverged (0 of 3) |",
        "",
        r"resnet8, baseline: seed 2 failed ( \[31mout of memory).",
        "",
        "resnet8, eed: seed 0 diverged (loss is nan), seed 1 diverged (loss is nan), seed 2 diverged (loss is nan).",
    ]


def test_markdown_names_break_no_cell(awkward):
    *_, row = (line for line in written(awkward, "markdown").splitlines() if line.startswith("| \\*net"))
    assert row.startswith(r"| \*net\|\<b\>\` | ")


def test_names_are_no_markup_in_text(awkward):
    assert "[bold]net[/bold]" in written(awkward)
    assert rf"odd={SPECIAL}" in written(awkward)


def test_a_terminal_shows_the_best_in_bold(quickstart):
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=120)
    console.print(to_rich(main(quickstart)))
    printed = console.file.getvalue()
    assert "\x1b[1m97.00 ± 1.00\x1b[0m" in printed
    assert "\x1b[1m95.00" not in printed
    assert "*" not in printed


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_says_what_the_epoch_was_chosen_on(record, format):
    sweep = record()
    sweep.trial("baseline", 94.0, seeds=1, protocol="paper")
    output = " ".join(written(compared(sweep), format).split())
    assert "best epoch on test, chosen on test" in output


@pytest.mark.slow
def test_the_order_of_the_frame_changes_no_byte(record):
    sweep = record()
    for architecture in ("resnet8", "resnet14"):
        sweep.trials("baseline", 94.1, 95.2, 96.3, architecture=architecture)
        sweep.trials("eed", 96.1, 97.2, architecture=architecture, method__output_loss="mse")
        sweep.trials("eed", 0.1, 0.2, 0.3, architecture=architecture, method__output_loss="kl")
        sweep.trial("kd", seed=1, state="failed", error="late", architecture=architecture)
        sweep.trial("kd", seed=0, state="diverged", error="loss is nan", architecture=architecture)
    frame = load(sweep.tracking_uri, sweep.sweep)
    shuffled = [comparison(frame.sample(frac=1, random_state=attempt)) for attempt in range(5)]
    for format in FORMATS:
        assert {written(table, format) for table in shuffled} == {written(comparison(frame), format)}


def test_an_unknown_format_names_the_nearest(quickstart):
    with pytest.raises(SpecError, match=r"'markdwn'.*'markdown'"):
        written(quickstart, "markdwn")
