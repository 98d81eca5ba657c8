import csv
import io

import pytest
from exeunt.results import FORMATS, Cell, Table, comparison, load, main, render
from exeunt.specs import SpecError

BUDGET = "8 trials by tpe, scored by validation top-1 of the final exit on 20% of the training images"
TRIED = "6 complete, 1 pruned, 1 failed"


@pytest.fixture
def search(record):
    """Search, with a function that records the trials that confirm its results."""
    sweep = record()

    def confirm(method: str, tuning: str, *accuracies: float | None, **options: object) -> None:
        tags = {"tuning": tuning, "budget": BUDGET, "tried": TRIED, "seeds": 3} | options
        for seed, accuracy in enumerate(accuracies):
            state = {} if accuracy is not None else {"state": "failed", "error": "out of memory"}
            sweep.trial(method, accuracy, seed=seed, **tags, **state)

    sweep.confirm = confirm
    return sweep


@pytest.fixture
def tuned(search):
    """Search with a baseline whose defaults are best, and eed with tuned temperature and recipe."""
    search.trial("eed", role="search", protocol="tuning", recipe__learning_rate="0.3", method__temperature="9")
    search.confirm("baseline", "default and tuned", 94.0, 95.0, 96.0, recipe__learning_rate="0.1")
    settings = {"recipe__learning_rate": "0.1", "method__temperature": "1"}
    search.confirm("eed", "default", 95.0, 96.0, 97.0, **settings)
    settings = {"recipe__learning_rate": "0.2", "method__temperature": "2.7"}
    search.confirm("eed", "tuned", 96.5, 96.0, 98.0, **settings)
    return search


def written(table: Table, format: str = "text") -> str:
    return render(main(table), format)


def compared(sweep, **options) -> Table:
    return comparison(load(sweep.tracking_uri, sweep.sweep), **options)


def labels(table: Table) -> list[str]:
    return [column.label for column in table.columns]


def cells(table: Table) -> dict[str, Cell]:
    """Return the cells of the first row."""
    return dict(zip(labels(table), table.cells[0], strict=True))


def on_one_line(text: str) -> str:
    return " ".join(text.split())


def test_what_a_search_records_of_its_results_is_read(tuned):
    frame = load(tuned.tracking_uri, tuned.sweep)
    assert frame["role"].tolist() == ["search", *["result"] * 9]
    assert frame["tuning"].isna().tolist() == [True, *[False] * 9]
    assert frame["tuning"].tolist()[1::3] == ["default and tuned", "default", "tuned"]
    assert set(frame["budget"].dropna()) == {BUDGET}
    assert set(frame["tried"].dropna()) == {TRIED}


def test_tuned_settings_are_compared_in_the_rows_and_columns_of_the_default_ones(tuned):
    table = compared(tuned)
    assert [(row.architecture, row.settings) for row in table.rows] == [("resnet8", ())]
    assert labels(table) == ["baseline", "eed"]
    assert (table.metric.name, table.protocol, table.seeds) == ("test/final/top1", "last epoch on test", 3)
    baseline, eed = table.cells[0]
    assert (baseline.mean, baseline.std, baseline.n, baseline.gain, baseline.difference) == (95.0, 1.0, 3, 0.0, None)
    assert eed.mean == pytest.approx(290.5 / 3)
    assert eed.gain == pytest.approx((1.5 + 0.0 + 1.0) / 3)
    assert eed.difference == pytest.approx(290.5 / 3 - 95.0)
    assert (baseline.best, eed.best) == (False, True)


def test_gain_is_over_the_seeds_that_are_done_with_both_settings(search):
    search.confirm("eed", "default", 95.0, 90.0, None, method__temperature="1")
    search.confirm("eed", "tuned", 96.0, None, 99.0, method__temperature="3")
    eed = compared(search).cells[0][0]
    assert (eed.mean, eed.n, eed.gain) == (97.5, 2, 1.0)
    assert eed.note == "seed 1 failed (out of memory)"


@pytest.mark.parametrize("default", [(), (None, None, None), (None, 94.0, None)])
def test_without_a_pair_of_seeds_there_is_no_gain(search, default):
    search.confirm("baseline", "default and tuned", 94.0, 95.0, 96.0, recipe__learning_rate="0.1")
    search.confirm("eed", "default", *default, recipe__learning_rate="0.1", method__temperature="1")
    search.confirm("eed", "tuned", 96.0, None, 98.0, recipe__learning_rate="0.2", method__temperature="3")
    table = compared(search)
    eed = cells(table)["eed"]
    assert (eed.mean, eed.gain, eed.difference, len(table.rows)) == (97.0, None, 2.0, 1)


def test_without_any_default_settings_nothing_is_compared_with_them(search):
    for architecture, temperature in (("resnet8", "2"), ("resnet14", "3")):
        settings = {"recipe__learning_rate": f"0.{temperature}", "method__temperature": temperature}
        search.confirm("eed", "tuned", 94.0, 95.0, 96.0, architecture=architecture, **settings)
    table = compared(search)
    assert ([row.settings for row in table.rows], labels(table)) == ([(), ()], ["eed"])
    assert "Gain" not in written(table)
    assert f"Each method tuned with {BUDGET}." in on_one_line(written(table))


def test_one_trial_that_is_both_and_failed_has_no_gain(search):
    search.confirm("eed", "default and tuned", None, None, None)
    assert compared(search).cells[0][0].gain is None


def test_rows_and_columns_are_told_apart_by_what_differs_between_default_settings(search):
    for epochs in ("10", "20"):
        for loss in ("mse", "kl"):
            default = {"recipe__epochs": epochs, "recipe__learning_rate": "0.1", "method__temperature": "1"}
            architecture = "resnet8" if loss == "mse" else "resnet14"
            found = default | {"recipe__learning_rate": f"0.{epochs}5", "method__temperature": f"{epochs}.5"}
            of_file = {"method__output_loss": loss, "architecture": architecture}
            search.confirm("eed", "default", 94.0, 95.0, 96.0, **of_file, **default)
            search.confirm("eed", "tuned", 95.0, 96.0, 97.0 + int(epochs), **of_file, **found)
    table = compared(search)
    assert [(row.architecture, row.settings) for row in table.rows] == [
        ("resnet8", ("epochs=10",)),
        ("resnet14", ("epochs=10",)),
        ("resnet8", ("epochs=20",)),
        ("resnet14", ("epochs=20",)),
    ]
    assert labels(table) == ["eed output_loss=mse", "eed output_loss=kl"]
    gains = [[cell.gain for cell in cells] for cells in table.cells]
    in_10, in_20 = (1.0 + 1.0 + 11.0) / 3, (1.0 + 1.0 + 21.0) / 3
    assert gains == [[in_10, None], [None, in_10], [in_20, None], [None, in_20]]


def test_default_settings_that_differ_only_in_what_was_tuned_are_not_guessed(search):
    for rate, order in (("0.1", 0), ("0.2", 1)):
        search.confirm("eed", "default", 94.0, recipe__learning_rate=rate, key=str(order) * 16)
    search.confirm("eed", "tuned", 95.0, recipe__learning_rate="0.3", key="c" * 16)
    with pytest.raises(SpecError, match=r"trial c{16} has tuned settings.*0{16} or of trial 1{16}"):
        compared(search)


def test_columns_come_in_the_order_of_the_default_settings(search):
    search.confirm("baseline", "default", 94.0, method__odd="1")
    search.confirm("eed", "default", 94.0, method__odd="1")
    search.confirm("eed", "tuned", 94.0, method__odd="2")
    search.confirm("baseline", "tuned", 94.0, method__odd="2")
    assert labels(compared(search)) == ["baseline", "eed"]


def test_every_setting_of_a_pareto_front_has_its_column(search):
    search.confirm("baseline", "default and tuned, trial 0", 94.0, 95.0, 96.0)
    failing = {"tried": "3 complete, 0 pruned, 5 failed"}
    search.confirm("eed", "default", 95.0, 96.0, 97.0, method__temperature="1", **failing)
    search.confirm("eed", "tuned, trial 7", 97.0, 98.0, 99.0, method__temperature="2", **failing)
    search.confirm("eed", "tuned, trial 3", 94.0, 95.0, 96.0, method__temperature="3", **failing)
    table = compared(search, baseline="baseline trial 0")
    assert labels(table) == ["baseline trial 0", "eed trial 7", "eed trial 3"]
    assert [cell.gain for cell in table.cells[0]] == [0.0, 2.0, -1.0]
    assert [cell.difference for cell in table.cells[0]] == [None, 3.0, 0.0]
    printed = written(table)
    assert printed.count("of 8 search trials") == 1
    assert "\nresnet8, eed: 5 of 8 search trials failed.\n" in printed


def test_settings_of_two_trials_of_the_pareto_front_are_one_column(search):
    search.confirm("eed", "default and tuned, trial 0 and tuned, trial 4", 95.0, 96.0)
    search.confirm("eed", "tuned, trial 5 and tuned, trial 7", 97.0, 97.0, method__temperature="2")
    found = {label: cell.gain for label, cell in cells(compared(search)).items()}
    assert found == {"eed trial 0 and trial 4": 0.0, "eed trial 5 and trial 7": 1.5}


def test_default_settings_on_the_pareto_front_are_what_the_others_gain_over(search):
    search.confirm("eed", "default and tuned, trial 0", 95.0, 96.0, 97.0, method__temperature="1")
    search.confirm("eed", "tuned, trial 7", 97.0, 98.0, 99.0, method__temperature="2")
    assert {label: cell.gain for label, cell in cells(compared(search)).items()} == {
        "eed trial 0": 0.0,
        "eed trial 7": 2.0,
    }


def test_a_method_that_is_not_confirmed_yet_shows_no_default_numbers(tuned):
    tuned.confirm("kd", "default", 99.0, None, 99.0, recipe__learning_rate="0.1")
    table = compared(tuned)
    kd = cells(table)["kd"]
    assert (kd.mean, kd.gain, kd.n, kd.planned, kd.outcome) == (None, None, 0, 3, "not confirmed")
    assert kd.note == "seed 0 not confirmed, seed 1 not confirmed, seed 2 not confirmed"
    assert "99" not in written(table)


def test_a_method_that_no_search_tuned_is_shown_as_it_is(tuned):
    tuned.trials("dml", 93.0, 94.0, 95.0, recipe__learning_rate="0.1")
    dml = cells(compared(tuned))["dml"]
    assert (dml.mean, dml.gain, dml.difference) == (94.0, None, -1.0)
    assert f"Budgets differ: baseline, eed with {BUDGET}; dml with no search." in on_one_line(written(compared(tuned)))


@pytest.mark.parametrize("tunings", [[], ["default"]])
def test_a_search_that_is_not_confirmed_has_nothing_to_compare(search, tunings):
    search.trial("eed", role="search", protocol="tuning", metrics={"validation/final/top1": 91.0})
    for tuning in tunings:
        search.confirm("eed", tuning, 94.0, 95.0, 96.0)
    with pytest.raises(SpecError, match="nothing to compare: the search is not confirmed yet"):
        compared(search)


@pytest.mark.parametrize(
    ("tried", "warning"),
    [
        ("6 complete, 1 pruned, 1 failed", None),
        ("5 complete, 0 pruned, 3 failed", None),
        ("3 complete, 1 pruned, 4 failed", "4 of 8 search trials failed"),
        ("0 complete, 0 pruned, 8 failed", "8 of 8 search trials failed"),
        ("0 complete, 0 pruned, 0 failed", None),
    ],
)
def test_a_search_of_which_half_failed_is_noted_in_every_format(search, tried, warning):
    search.confirm("eed", "tuned", 94.0, 95.0, 96.0, tried=tried)
    table = compared(search)
    for format in FORMATS:
        assert ("search trials failed" in written(table, format)) == (warning is not None)
    if warning:
        assert written(table).endswith(f"\nresnet8, eed: {warning}.\n")
        (line,) = csv.DictReader(io.StringIO(written(table, "csv")))
        assert line["note"] == warning


def test_equal_budgets_are_said_once(tuned):
    caption = on_one_line(written(compared(tuned)).partition("\n\n")[0])
    assert f". Each method tuned with {BUDGET}. Mean ± " in caption
    assert ". Gain: tuned minus default settings, mean over shared seeds, in percentage points. P" in caption


def test_budgets_that_differ_are_each_named(tuned):
    tuned.confirm("kd", "tuned", 94.0, 95.0, 96.0, budget="4 trials by random")
    caption = on_one_line(written(compared(tuned)))
    assert f". Budgets differ: baseline, eed with {BUDGET}; kd with 4 trials by random. " in caption
    assert "Each method" not in caption


def test_budgets_that_differ_between_rows_name_the_rows(search):
    for architecture, budget in (("resnet8", "8 trials by tpe"), ("resnet14", "4 trials by tpe")):
        search.confirm("eed", "tuned", 94.0, architecture=architecture, budget=budget)
    caption = on_one_line(written(compared(search)))
    assert "Budgets differ: resnet8 eed with 8 trials by tpe; resnet14 eed with 4 trials by tpe." in caption


def test_text_of_a_search(tuned):
    assert (
        written(compared(tuned))
        == """\
test_text_of_a_search on digits: test top-1 accuracy of the final exit in %. Protocol: last epoch on
test. Each method tuned with 8 trials by tpe, scored by validation top-1 of the final exit on 20% of
the training images. Mean ± sample standard deviation over n = 3 seeds. Signed numbers: difference
from baseline in percentage points. Gain: tuned minus default settings, mean over shared seeds, in
percentage points. Paired t-test: not significant (p < 0.05). Wilcoxon signed-rank test: smallest
possible p = 0.25 with 3 pairs of seeds; p < 0.05 requires 6 pairs. Best mean of each row marked *.

  architecture          baseline                      eed
 ─────────────────────────────────────────────────────────
  resnet8           95.00 ± 1.00           * 96.83 ± 1.04
                 gain +0.00, n=3   +1.83, gain +0.83, n=3

"""
    )


def test_markdown_of_a_search(tuned):
    assert written(compared(tuned), "markdown").splitlines()[2:] == [
        "| architecture | baseline | eed |",
        "| --- | ---: | ---: |",
        "| resnet8 | 95.00 ± 1.00 (gain +0.00, n=3) | **96.83 ± 1.04** (+1.83, gain +0.83, n=3) |",
    ]


def test_latex_escapes_the_budget(tuned):
    output = written(compared(tuned), "latex")
    assert r"on 20\% of the training images. Mean" in output
    assert "20% " not in output
    assert r" & gain $+0.00$, n=3 & $+1.83$, gain $+0.83$, n=3 \\" in output


def test_csv_has_the_gain_in_full(tuned, record):
    baseline, eed = csv.DictReader(io.StringIO(written(compared(tuned), "csv")))
    assert [*baseline][9:13] == ["planned", "difference", "gain", "note"]
    assert (baseline["gain"], baseline["difference"]) == ("0.0", "")
    assert float(eed["gain"]) == pytest.approx(2.5 / 3)
    plain = record("a sweep without a search")
    plain.trials("eed", 94.0, 95.0, 96.0)
    assert "gain" not in written(compared(plain), "csv")


@pytest.mark.parametrize("format", FORMATS)
def test_a_frame_from_before_there_were_searches_gives_the_same_table(record, format):
    sweep = record()
    sweep.trials("baseline", 94.0, 95.0)
    sweep.trials("eed", 95.0, 96.0, 97.0)
    frame = load(sweep.tracking_uri, sweep.sweep)
    before = frame.drop(columns=["tuning", "budget", "tried"])
    assert written(comparison(before), format) == written(comparison(frame), format)


@pytest.mark.slow
def test_the_order_of_the_frame_changes_no_byte_of_a_search(tuned):
    tuned.confirm("kd", "default", 93.0, None, 95.0, recipe__learning_rate="0.1")
    tuned.confirm("kd", "tuned, trial 2", 94.0, 95.5, None, method__temperature="3")
    tuned.confirm("kd", "tuned, trial 1", 94.5, 95.0, None, method__temperature="2")
    frame = load(tuned.tracking_uri, tuned.sweep)
    shuffled = [comparison(frame.sample(frac=1, random_state=attempt)) for attempt in range(5)]
    for format in FORMATS:
        assert {written(table, format) for table in shuffled} == {written(comparison(frame), format)}
