"""Latency of early exits beside a static network of the same cost."""

import pytest
import torch
from exeunt.models import EarlyExit, early_exit_latency, exit_costs, exit_latencies
from exeunt.models import exit_cost as timing
from exeunt.specs import SpecError


@pytest.fixture
def network(build):
    return build("resnet14", "block2,block4", size=12, classes=5).eval()


def test_the_static_network_is_the_exit_of_the_nearest_cost(network):
    costs = exit_costs(network, (3, 12, 12))
    images = torch.randn(6, 3, 12, 12)
    for thresholds, exit_number in (((0, None), 1), ((None, 0), 2), ((None, None), 3)):
        found = early_exit_latency(EarlyExit(network, "max_probability", thresholds), images)
        assert found.exit == exit_number
        assert found.early_exit.multiply_adds == costs[exit_number - 1].cumulative_multiply_adds
        assert found.static.multiply_adds == costs[exit_number - 1].multiply_adds
        for measured in (found.early_exit, found.static):
            assert 0 < measured.p50_ms <= measured.p95_ms


def test_percentiles_are_those_of_the_single_images(network, monkeypatch):
    times = iter([0.001 * (1 + number // 2) + number % 2 for number in range(1000)])
    monkeypatch.setattr("exeunt.models.early_exit.latency.seconds", lambda *_: next(times))
    found = early_exit_latency(EarlyExit(network, "margin", 0), torch.randn(21, 3, 12, 12))
    first = 1 + timing.WARM_UP
    assert found.early_exit.p50_ms == pytest.approx(first + 10)
    assert found.early_exit.p95_ms == pytest.approx(first + 19)
    assert found.early_exit.mean_ms == pytest.approx(first + 10)
    assert found.static.p50_ms == pytest.approx(1000 + first + 10)


def test_no_images_are_refused(network):
    with pytest.raises(SpecError, match="at least 1 image"):
        early_exit_latency(EarlyExit(network, "margin", 0), torch.randn(0, 3, 12, 12))


def test_cumulative_latencies_run_the_heads_of_earlier_exits(network, monkeypatch):
    passed = []
    for head in network.exits.values():
        head.register_forward_hook(lambda *_: passed.append(1))
    monkeypatch.setattr(timing, "WARM_UP", 0)
    monkeypatch.setattr(timing, "REPEATS", 1)
    assert all(value > 0 for value in exit_latencies(network, (3, 12, 12), cumulative=True))
    assert len(passed) == 1 + 2 + 2
