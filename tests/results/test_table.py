import pytest
from exeunt.results import Table, comparison, load
from exeunt.specs import SpecError


def compared(sweep, **options) -> Table:
    return comparison(load(sweep.tracking_uri, sweep.sweep), **options)


def labels(table: Table) -> list[str]:
    return [column.label for column in table.columns]


def test_mean_and_sample_deviation_over_three_seeds(record):
    sweep = record()
    sweep.trials("baseline", 94.0, 95.0, 96.0)
    sweep.trials("eed", 96.0, 97.0, 98.5)

    table = compared(sweep)
    baseline, eed = table.cells[0]

    assert (baseline.mean, baseline.std, baseline.n, baseline.planned) == (95.0, 1.0, 3, 3)
    assert eed.mean == pytest.approx(291.5 / 3)
    assert eed.difference == pytest.approx(291.5 / 3 - 95.0)
    assert baseline.difference is None
    assert (baseline.best, eed.best) == (False, True)
    assert table.seeds == 3


def test_one_seed_has_no_deviation(record):
    sweep = record()
    sweep.trial("baseline", 94.0, seeds=1)
    table = compared(sweep)
    assert (table.cells[0][0].mean, table.cells[0][0].std, table.seeds) == (94.0, None, 1)


def test_missing_seeds_are_counted_and_explained(record):
    sweep = record()
    sweep.trial("eed", 97.0, seed=0, seeds=5)
    sweep.trial("eed", 12.0, seed=1, seeds=5, state="diverged", error="loss is nan")
    sweep.trial("eed", seed=2, seeds=5, state="failed", error="out of memory")
    sweep.trial("eed", 50.0, seed=3, seeds=5, state="running")

    table = compared(sweep)
    cell = table.cells[0][0]

    assert (cell.mean, cell.std, cell.n, cell.planned) == (97.0, None, 1, 5)
    assert cell.outcome == "1 diverged, 1 failed, 1 running, 1 not run"
    assert cell.note == ("seed 1 diverged (loss is nan), seed 2 failed (out of memory), seed 3 running, 1 not run")
    assert table.seeds is None


def test_an_empty_cell_has_a_reason_and_no_number(record):
    sweep = record()
    sweep.trials("baseline", 94.0, 95.0, 96.0)
    for seed in range(3):
        sweep.trial("eed", 12.0, seed=seed, state="diverged", error="loss is nan")
    sweep.trials("baseline", 94.0, 95.0, 96.0, architecture="resnet14")

    (_, diverged), (_, absent) = compared(sweep).cells

    assert (diverged.mean, diverged.std, diverged.difference, diverged.best) == (None, None, None, False)
    assert (diverged.n, diverged.planned, diverged.outcome) == (0, 3, "diverged")
    assert (absent.mean, absent.n, absent.planned, absent.outcome) == (None, 0, None, "not run")


@pytest.mark.parametrize("accuracy", [None, float("nan"), float("inf")])
def test_a_finished_trial_without_a_number_is_not_measured(record, accuracy):
    sweep = record()
    sweep.trial("baseline", 94.0)
    sweep.trial("eed", accuracy, seeds=1)
    eed = compared(sweep).cells[0][1]
    assert (eed.mean, eed.n, eed.outcome, eed.note) == (None, 0, "not measured", "seed 0 not measured")


def test_without_a_baseline_there_is_no_difference(record):
    sweep = record()
    sweep.trials("kd", 94.0, 95.0)
    sweep.trials("eed", 96.0, 97.0)
    table = compared(sweep)
    assert table.baseline is None
    assert [cell.difference for cell in table.cells[0]] == [None, None]


def test_a_row_whose_baseline_failed_has_no_difference(record):
    sweep = record()
    sweep.trial("baseline", state="failed", error="out of memory", seeds=1)
    sweep.trial("eed", 96.0, seeds=1)
    assert compared(sweep).cells[0][1].difference is None


def test_means_that_print_alike_are_all_best(record):
    sweep = record()
    sweep.trial("baseline", 94.0)
    sweep.trial("kd", 96.001)
    sweep.trial("eed", 96.0)
    assert [cell.best for cell in compared(sweep).cells[0]] == [False, True, True]


def test_the_lowest_nll_is_best_and_an_unknown_metric_has_no_winner(record):
    sweep = record()
    sweep.trial("baseline", 94.0, metrics={"test/final/nll": 0.5, "test/final/odd": 1.0})
    sweep.trial("eed", 94.0, metrics={"test/final/nll": 0.4, "test/final/odd": 2.0})
    assert [cell.best for cell in compared(sweep, metric="test/final/nll").cells[0]] == [False, True]
    assert [cell.best for cell in compared(sweep, metric="test/final/odd").cells[0]] == [False, False]


def test_columns_name_only_what_varies_within_their_method(record):
    sweep = record()
    sweep.trial("baseline", 94.0)
    sweep.trial("kd", 95.0, method__temperature="4", teacher__architecture="resnet8", teacher__seed="0")
    sweep.trial("kd", 95.0, method__temperature="4", teacher__architecture="resnet50", teacher__seed="0")
    sweep.trial("eed", 95.0, method__output_loss="mse", exits__placement="all")
    sweep.trial("eed", 95.0, method__output_loss="kl", method__temperature="1", exits__placement="all")
    sweep.trial("eed", 95.0, method__output_loss="kl", method__temperature="3", exits__placement="all")
    assert labels(compared(sweep)) == [
        "baseline",
        "kd teacher=self",
        "kd teacher=resnet50",
        "eed output_loss=mse",
        "eed output_loss=kl, temperature=1",
        "eed output_loss=kl, temperature=3",
    ]


def test_exits_stand_in_a_column_as_the_sweep_file_says_it(record):
    sweep = record()
    for architecture, blocks in (("resnet8", ("1", "block2")), ("resnet20", ("block2", "block5"))):
        for written, placement in zip(("25%", "50%"), blocks, strict=True):
            common = {"architecture": architecture, "exits": written, "exits__placement": placement}
            sweep.trial("eed", 95.0, **common)
    sweep.trial("kd", 95.0, exits="50%", exits__placement="block2")
    sweep.trial("kd", 95.0, architecture="resnet20", exits="50%", exits__placement="block5")
    assert labels(compared(sweep)) == ["eed exits=25%", "eed exits=50%", "kd"]
    assert all(cell.mean == 95.0 for row in compared(sweep).cells for cell in row)


def test_exits_that_nothing_says_the_words_of_are_named_by_their_placement(record):
    sweep = record()
    sweep.trial("eed", 95.0, exits__placement="1")
    sweep.trial("eed", 95.0, exits="50%", exits__placement="block2")
    assert labels(compared(sweep)) == ["eed exits=1", "eed exits=50%"]


def test_a_teacher_of_each_row_makes_one_column(record):
    sweep = record()
    for architecture, key in (("resnet8", "1"), ("resnet14", "2")):
        for teacher in (architecture, "resnet50"):
            sweep.trial(
                "kd", 95.0, architecture=architecture, teacher__architecture=teacher, teacher__key=f"{key}{teacher}"
            )
    assert labels(compared(sweep)) == ["kd teacher=self", "kd teacher=resnet50"]


@pytest.mark.parametrize(
    ("teachers", "expected"),
    [
        ({"resnet8": ["resnet20"], "resnet20": ["resnet20"]}, ["kd"]),
        ({"resnet8": ["resnet8"], "resnet20": ["resnet20"]}, ["kd"]),
        ({"resnet8": ["resnet8", "resnet20"], "resnet20": ["resnet20"]}, ["kd teacher=self", "kd teacher=resnet20"]),
        (
            {"resnet8": ["resnet20", "resnet56"], "resnet20": ["resnet20", "resnet56"]},
            ["kd teacher=resnet20", "kd teacher=resnet56"],
        ),
    ],
)
def test_a_teacher_is_called_self_only_where_that_makes_no_more_columns(record, teachers, expected):
    sweep = record()
    for architecture, of_row in teachers.items():
        for teacher in of_row:
            taught = {"teacher__architecture": teacher, "teacher__key": teacher}
            sweep.trial("kd", 95.0, architecture=architecture, **taught)
    for architecture in teachers:
        sweep.trial("at", 95.0, architecture=architecture, teacher__architecture=architecture)
    assert labels(compared(sweep)) == [*expected, "at"]


def test_two_teachers_that_only_their_keys_tell_apart_are_two_columns(record):
    sweep = record()
    for key in ("1", "2"):
        sweep.trial("kd", 95.0, teacher__architecture="resnet50", teacher__key=key)
    assert labels(compared(sweep)) == ["kd teacher_key=1", "kd teacher_key=2"]


def test_keys_of_teachers_split_no_column_where_they_tell_nothing_apart(record):
    sweep = record()
    for architecture in ("resnet8", "resnet14"):
        for key in ("1", "2"):
            sweep.trial("kd", 95.0, architecture=architecture, teacher__architecture="resnet50", teacher__key=key)
        for method in ("kd", "at"):
            own = {"teacher__architecture": architecture, "teacher__key": architecture}
            sweep.trial(method, 95.0, architecture=architecture, **own)
    assert labels(compared(sweep)) == [
        "kd teacher=resnet50, teacher_key=1",
        "kd teacher=resnet50, teacher_key=2",
        "kd teacher=self",
        "at",
    ]


def test_the_second_best_is_marked_from_three_means_on(record):
    sweep = record()
    sweep.trial("baseline", 94.0)
    sweep.trial("kd", 95.0)
    assert [cell.second for cell in compared(sweep).cells[0]] == [False, False]
    sweep.trial("eed", 96.0)
    sweep.trial("dml", 95.001)
    assert [cell.second for cell in compared(sweep).cells[0]] == [False, True, False, True]


def test_a_parameter_that_is_absent_elsewhere_is_named_only_where_nothing_else_tells(record):
    sweep = record()
    sweep.trial("eed", 95.0, method__output_loss="mse")
    sweep.trial("eed", 95.0, method__output_loss="kl", method__temperature="3")
    sweep.trial("beed", 95.0)
    sweep.trial("beed", 96.0, method__clip="1")
    assert labels(compared(sweep)) == ["eed output_loss=mse", "eed output_loss=kl", "beed", "beed clip=1"]


def test_rows_name_data_sets_and_recipe_settings_only_where_they_vary(record):
    sweep = record()
    for dataset in ("digits", "cifar10"):
        for epochs in ("10", "20"):
            sweep.trial("baseline", 94.0, dataset=dataset, recipe__epochs=epochs)
    rows = compared(sweep).rows
    assert [(row.dataset, row.architecture, row.settings) for row in rows] == [
        ("digits", "resnet8", ("epochs=10",)),
        ("digits", "resnet8", ("epochs=20",)),
        ("cifar10", "resnet8", ("epochs=10",)),
        ("cifar10", "resnet8", ("epochs=20",)),
    ]


def test_teachers_and_unplanned_trials_are_not_compared(record):
    sweep = record()
    sweep.trial("baseline", 99.0, architecture="resnet50", role="teacher")
    sweep.trial("eed", 99.0, role="unplanned", method__output_loss="mse")
    sweep.trial("eed", 95.0, method__output_loss="kl")
    table = compared(sweep)
    assert labels(table) == ["eed"]
    assert [row.architecture for row in table.rows] == ["resnet8"]


def test_an_unknown_metric_names_the_nearest(record):
    sweep = record()
    sweep.trial("baseline", 94.0)
    with pytest.raises(SpecError, match=r"test/final/top2.*'test/final/top1'"):
        compared(sweep, metric="test/final/top2")


def test_a_sweep_that_tunes_is_compared_on_validation(record):
    sweep = record()
    sweep.trial("baseline", protocol="tuning", seeds=1, state="running")
    assert compared(sweep).metric.name == "validation/final/top1"
    sweep.trial("eed", protocol="tuning", seeds=1, metrics={"validation/final/top1": 91.0})
    table = compared(sweep)
    assert table.metric.title == "validation top-1 accuracy of the final exit"
    assert [cell.mean for cell in table.cells[0]] == [None, 91.0]


@pytest.mark.parametrize("protocol", ["final", "paper"])
def test_validation_never_stands_in_for_test(record, protocol):
    sweep = record()
    sweep.trial("baseline", protocol=protocol, seeds=1, state="running", metrics={"validation/final/top1": 91.0})
    table = compared(sweep)
    assert (table.metric.name, table.cells[0][0].mean) == ("test/final/top1", None)


def test_a_sweep_that_has_just_begun_is_shown(record):
    sweep = record()
    sweep.trial("baseline", state="running")
    assert compared(sweep).cells[0][0].outcome == "1 running, 2 not run"


def test_nothing_to_compare_is_an_error(record):
    with pytest.raises(SpecError, match="nothing to compare"):
        compared(record())


def test_trials_that_nothing_tells_apart_are_never_averaged(record):
    sweep = record()
    sweep.trial("eed", 94.0, key="c" * 16)
    sweep.trial("eed", 95.0, key="d" * 16)
    with pytest.raises(SpecError, match=r"c{16}, d{16}"):
        compared(sweep)
