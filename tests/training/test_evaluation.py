import numpy as np
import pytest
import torch
from exeunt.training.distributed import ProcessGroup
from exeunt.training.evaluation import BINS, ExitMetrics
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, log_loss, top_k_accuracy_score

CPU = torch.device("cpu")


def measured_of(logits, labels, batch):
    metrics = ExitMetrics(len(logits), CPU)
    for start in range(0, len(labels), batch):
        part = tuple(z[start : start + batch] for z in logits)
        metrics.add(part, labels[start : start + batch])
    return metrics


def evaluated(logits, labels, batch):
    return measured_of(logits, labels, batch).summary("test", ProcessGroup())


def calibration_error(shares, labels):
    """Return the calibration error of Guo et al. 2017, equation 3, computed bin by bin."""
    confidence, hit = shares.max(1), shares.argmax(1) == labels
    error = 0.0
    for low in np.arange(BINS) / BINS:
        inside = (confidence >= low) & (confidence < low + 1 / BINS)
        if inside.any():
            error += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    return error


@pytest.mark.parametrize("exits", [1, 2, 4])
@pytest.mark.parametrize("batch", [7, 100])
def test_every_measure_is_what_others_compute_at_every_exit_and_the_ensemble(exits, batch):
    generator = torch.Generator().manual_seed(exits)
    logits = tuple(3 * torch.randn(60, 8, generator=generator) for _ in range(exits))
    labels = torch.randint(0, 8, (60,), generator=generator)
    named = dict(zip([*(f"exit{number}" for number in range(1, exits)), "final"], logits, strict=True))
    if exits > 1:
        named["ensemble"] = sum(logits) / exits
    expected = {}
    for name, z in named.items():
        shares = z.double().softmax(1).numpy()
        expected[f"test/{name}/top1"] = 100 * accuracy_score(labels, z.argmax(1))
        expected[f"test/{name}/top5"] = 100 * top_k_accuracy_score(labels, z, k=5, labels=range(8))
        expected[f"test/{name}/nll"] = log_loss(labels, shares, labels=range(8))
        expected[f"test/{name}/ece"] = calibration_error(shares, labels.numpy())
    assert evaluated(logits, labels, batch) == pytest.approx(expected, rel=1e-5)


def test_a_reliability_diagram_is_scikit_learns():
    logits = 3 * torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(500) % 8
    (bins,) = measured_of((logits,), labels, 64).reliability(ProcessGroup()).values()
    confidence, answers = logits.double().softmax(1).max(1)
    share, mean = calibration_curve((answers == labels).numpy(), confidence.numpy(), n_bins=BINS)
    count, confidences, correct = np.array([row for row in bins if row[0]]).T
    assert (count.sum(), len(bins)) == (500, BINS)
    assert confidences == pytest.approx(mean, rel=1e-6)
    assert correct == pytest.approx(share, rel=1e-6)
    assert all(row == [0, 0, 0] for row in bins if not row[0])


def test_a_mixture_of_images_counts_as_its_larger_part_and_is_expected_in_both():
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0]])
    labels = torch.tensor([[0.7, 0.3, 0.0], [0.6, 0.0, 0.4]])
    measured = evaluated((logits,), labels, 2)
    assert measured["test/final/top1"] == 50
    assert measured["test/final/nll"] == pytest.approx(float(-(labels * logits.log_softmax(1)).sum(1).mean()), rel=1e-6)


def test_fewer_than_five_classes_are_all_among_the_likeliest_five():
    assert evaluated((torch.randn(9, 3),), torch.arange(9) % 3, 4)["test/final/top5"] == 100


def test_half_precision_logits_are_evaluated_in_float32():
    logits = (torch.randn(50, 10, generator=torch.Generator().manual_seed(0)).bfloat16(),) * 2
    labels = torch.arange(50) % 10
    assert evaluated(logits, labels, 50) == evaluated(tuple(z.float() for z in logits), labels, 50)


@pytest.mark.parametrize("mixed", [False, True])
def test_metrics_are_bit_for_bit_the_same_however_the_images_are_divided(mixed):
    generator = torch.Generator().manual_seed(0)
    logits = tuple(5 * torch.randn(1000, 7, generator=generator) for _ in range(2))
    labels = torch.rand(1000, 7, generator=generator).softmax(1) if mixed else torch.arange(1000) % 7
    one, *others = (measured_of(logits, labels, batch).sums for batch in (1000, 1, 7, 64, 333))
    for sums in others:
        torch.testing.assert_close(sums, one, rtol=0, atol=0)


def test_what_is_not_finite_is_not_hidden():
    logits = (torch.tensor([[0.0, float("nan")], [1.0, 2.0]]),)
    assert np.isnan(evaluated(logits, torch.tensor([0, 1]), 2)["test/final/nll"])
