"""Metrics of exits and their ensemble, computed on a GPU."""

import pytest
import torch
from exeunt.store import TrialFiles
from exeunt.training import train
from exeunt.training.distributed import ProcessGroup
from exeunt.training.early_exit_metrics import EarlyExitMetrics
from exeunt.training.evaluation import ExitMetrics
from torch.testing import assert_close

ALONE = ProcessGroup()


def outputs(device):
    """Return the logits (N, 10) of three exits, without ties, and labels, on a device."""
    generator = torch.Generator().manual_seed(0)
    logits = [torch.randn(300, 10, generator=generator).to(device) for _ in range(3)]
    return tuple(logits), torch.randint(0, 10, (300,), generator=generator).to(device)


def test_exits_are_measured_as_on_the_cpu(device):
    summaries, bins = [], []
    for place in (device, torch.device("cpu")):
        metrics = ExitMetrics(3, place)
        metrics.add(*outputs(place))
        summaries.append(metrics.summary("test", ALONE))
        bins.append(metrics.reliability(ALONE))
    assert_close(*(torch.tensor(list(each.values()), dtype=torch.float64) for each in summaries), rtol=1e-5, atol=1e-5)
    assert summaries[0].keys() == summaries[1].keys()
    assert [[part[0] for part in rows] for rows in bins[0].values()] == [
        [part[0] for part in rows] for rows in bins[1].values()
    ]


def test_early_exits_are_measured_as_on_the_cpu(device):
    points = []
    for place in (device, torch.device("cpu")):
        metrics = EarlyExitMetrics(torch.tensor([1.0, 2.0, 3.0], device=place))
        metrics.add(*outputs(place))
        points.append(metrics.points(ALONE))
    assert_close(torch.tensor(points[0]), torch.tensor(points[1]), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_each_epoch_of_the_paper_protocol_is_evaluated(device, make_trial, tmp_path):
    trial = make_trial(epochs=2, precision="auto").replace(protocol="paper", validation=0.2)
    result = train(trial, TrialFiles(tmp_path), device=device.type)
    history = TrialFiles(tmp_path).history()
    assert result["metrics"]["test/final/top1"] == max(epoch["test_by_epoch/final/top1"] for epoch in history)
    assert all(0 <= epoch["validation/ensemble/ece"] <= 1 for epoch in history)
