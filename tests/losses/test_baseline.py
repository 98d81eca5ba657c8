import numpy as np
import pytest
import torch
from exeunt.losses import Baseline, LossInputs, NetworkShape


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_the_cross_entropy_to_the_labels(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(6, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 4, (6,), generator=generator)
    loss = Baseline().build(NetworkShape(exits=1, classes=4, feature_dim=3))
    term = loss(LossInputs(logits=(logits,), features=(), labels=labels))["label"]
    term.backward()
    powers = np.exp(logits.detach().numpy())
    shares = powers / powers.sum(axis=1, keepdims=True)
    assert float(term.detach()) == pytest.approx(-np.log(shares[np.arange(6), labels.numpy()]).mean(), rel=1e-12)
    np.testing.assert_allclose(logits.grad, (shares - np.eye(4)[labels.numpy()]) / 6, rtol=1e-12)
