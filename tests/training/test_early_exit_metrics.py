"""Comparison of the metrics with `EarlyExit`, which stops computing at an exit."""

import pytest
import torch
from exeunt.losses import JEIDNN
from exeunt.models import ArchitectureSpec, EarlyExit, ExitSpec, build_network, exit_costs
from exeunt.training import DataSource
from exeunt.training.distributed import ProcessGroup
from exeunt.training.early_exit_metrics import CRITERION, THRESHOLDS, EarlyExitMetrics
from exeunt.training.loop import TrainingLoop


@pytest.mark.parametrize("batch", [7, 50])
def test_each_point_is_what_stopping_early_gives(batch):
    network = build_network(
        ArchitectureSpec(name="resnet8"), ExitSpec(placement="all"), image_shape=(1, 8, 8), classes=10, seed=0
    ).eval()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() == 2:
                weight.mul_(8)  # so that confidences cover a wide range
    generator = torch.Generator().manual_seed(0)
    images, labels = 4 * torch.randn(50, 1, 8, 8, generator=generator), torch.arange(50) % 10
    costs = torch.tensor([cost.cumulative_multiply_adds for cost in exit_costs(network, (1, 8, 8))])
    early = EarlyExitMetrics(costs)
    with torch.inference_mode():
        for start in range(0, 50, batch):
            early.add(network(images[start : start + batch]).logits, labels[start : start + batch])
    points = early.points(ProcessGroup())
    assert [point[0] for point in points] == list(THRESHOLDS)
    numbers = set()
    for threshold, cost, accuracy in points:
        outputs = EarlyExit(network, CRITERION, threshold)(images)
        assert cost == pytest.approx(costs[outputs.exits - 1].double().mean().item())
        assert accuracy == pytest.approx(100 * (outputs.logits.argmax(1) == labels).double().mean().item())
        numbers.add(cost)
    assert len(numbers) > 3, "images leave at the same exits for all thresholds"


def test_scores_of_a_method_replace_the_probabilities(make_trial):
    """Images leave by the gates of `jei_dnn`: at exit 1 if they are open, at the final exit if they are closed."""
    trial = make_trial(JEIDNN(), exits="all", epochs=1)
    loop = TrainingLoop(trial, torch.device("cpu"), None, DataSource(), ProcessGroup())
    costs = [cost.cumulative_multiply_adds for cost in exit_costs(loop.trained_network, (1, 8, 8))]
    for opening, expected in ((50.0, costs[0]), (-50.0, costs[-1])):
        for gate in loop._loss.gates:
            gate.weight.data.zero_()
            gate.bias.data.fill_(opening)
        loop._evaluated(loop._test_images, "test")
        assert {cost for _, cost, _ in loop._evaluated_details["early_exit"]} == {float(expected)}
