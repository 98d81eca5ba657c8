import pytest
from exeunt.losses import EED
from exeunt.models import ArchitectureSpec, ExitSpec
from exeunt.results import describe
from exeunt.store import TrialFiles
from exeunt.training import DatasetSpec, Recipe, TrialSpec, train


@pytest.mark.parametrize(
    ("name", "title", "unit", "best"),
    [
        ("test/final/top1", "test top-1 accuracy of the final exit", "%", "highest"),
        ("validation/exit2/top5", "validation top-5 accuracy of exit 2", "%", "highest"),
        ("train/final/top1", "training top-1 accuracy of the final exit in the last epoch", "%", "highest"),
        ("test_by_epoch/final/top1", "test top-1 accuracy of the final exit after the last epoch", "%", "highest"),
        ("test/ensemble/nll", "test negative log-likelihood per image of the ensemble of exits", "nats", "lowest"),
        ("test/final/ece", "test expected calibration error of the final exit", "", "lowest"),
        ("train/loss/stage_feature", "training loss, stage feature term", "", None),
        ("train/learning_rate", "learning rate of the last step", "", None),
        ("cost/parameters", "trained parameters, including exits", "", "lowest"),
        ("cost/exit1/multiply_adds", "multiply-adds per image of the network up to exit 1", "", "lowest"),
        ("images_per_second", "training throughput in the last epoch", "images/s", "highest"),
        ("joules", "energy of the last epoch", "joules", "lowest"),
        ("elsewhere/final/top1", "elsewhere/final/top1", "", None),
    ],
)
def test_a_metric_is_put_into_words(name, title, unit, best):
    metric = describe(name)
    assert (metric.name, metric.title, metric.unit, metric.best) == (name, title, unit, best)


@pytest.mark.parametrize(
    ("name", "unit"),
    [("test/final/top1", "percentage points"), ("test/final/nll", "nats"), ("odd", "units of the metric")],
)
def test_a_difference_has_the_unit_of_its_metric(name, unit):
    assert describe(name).difference_unit == unit


def test_everything_that_a_trial_records_is_known(tmp_path):
    trial = TrialSpec(
        dataset=DatasetSpec(name="digits"),
        architecture=ArchitectureSpec(name="resnet8"),
        method=EED(),
        exits=ExitSpec(placement="all"),
        recipe=Recipe(epochs=1, batch_size=512),
        protocol="paper",
        validation=0.1,
    )
    directory = TrialFiles(tmp_path)
    train(trial, directory, device="cpu")
    (record,) = directory.history()
    recorded = record.keys() - {"epoch", "time"}
    assert {"train/loss/output", "validation/exit1/ece", "test_by_epoch/ensemble/nll", "cost/parameters"} <= recorded
    assert [name for name in recorded if describe(name).title == name] == []


@pytest.mark.parametrize(
    ("name", "size", "text"),
    [
        ("test/final/top1", 1, "1 percentage point"),
        ("test/final/top1", 0.5, "0.5 percentage points"),
        ("test/final/nll", 0.1, "0.1 nats"),
    ],
)
def test_the_size_of_a_difference_agrees_with_its_unit(name, size, text):
    assert describe(name).quantity(size) == text
