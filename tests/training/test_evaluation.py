import pytest
import torch
from exeunt.training.evaluation import Accuracies
from sklearn.metrics import accuracy_score, log_loss

CPU = torch.device("cpu")


def evaluated(logits, labels, batch):
    accuracies = Accuracies(len(logits), CPU)
    for start in range(0, len(labels), batch):
        part = tuple(z[start : start + batch] for z in logits)
        accuracies.add(part, labels[start : start + batch])
    return accuracies.summary("test")


@pytest.mark.parametrize("exits", [1, 2, 4])
@pytest.mark.parametrize("batch", [7, 100])
def test_accuracy_and_likelihood_are_scikit_learns_at_every_exit_and_the_ensemble(exits, batch):
    generator = torch.Generator().manual_seed(exits)
    logits = tuple(3 * torch.randn(60, 6, generator=generator) for _ in range(exits))
    labels = torch.randint(0, 6, (60,), generator=generator)
    named = dict(zip([*(f"exit{number}" for number in range(1, exits)), "final"], logits, strict=True))
    if exits > 1:
        named["ensemble"] = sum(logits) / exits
    expected = {}
    for name, z in named.items():
        expected[f"test/{name}/top1"] = 100 * accuracy_score(labels, z.argmax(1))
        expected[f"test/{name}/nll"] = log_loss(labels, z.double().softmax(1), labels=range(6))
    assert evaluated(logits, labels, batch) == pytest.approx(expected, rel=1e-5)


def test_half_precision_logits_are_evaluated_in_float32():
    logits = (torch.randn(50, 10, generator=torch.Generator().manual_seed(0)).bfloat16(),) * 2
    labels = torch.arange(50) % 10
    assert evaluated(logits, labels, 50) == evaluated(tuple(z.float() for z in logits), labels, 50)
