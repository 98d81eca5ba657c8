"""Losses in a training loop of one's own."""

import pytest
import torch
from exeunt.losses import DML, EED, KD, Baseline, FinalTarget, FitNet, methods
from exeunt.losses.functional import eed_loss
from exeunt.models import attach_exits
from exeunt.specs import SpecError

from ..models.zoo import Small


@pytest.fixture
def network():
    torch.manual_seed(0)
    return attach_exits(Small(), image_shape=(3, 32, 32))


@pytest.fixture
def alone():
    torch.manual_seed(1)
    return attach_exits(Small(), "none", image_shape=(3, 32, 32))


IMAGES, LABELS = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.arange(8)


@pytest.mark.parametrize("output_loss", ["mse", "kl"])
def test_the_terms_of_eed_are_those_of_the_function_of_tensors(network, output_loss):
    outputs = network(IMAGES)
    terms = EED(output_loss=output_loss, temperature=2.0).build_for(network)(outputs, LABELS, progress=0.5)
    expected = eed_loss(outputs.logits, outputs.features, LABELS, output_loss=output_loss, temperature=2.0)
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(
        {name: float(term) for name, term in expected.items()}
    )


def test_the_weights_that_a_loss_learns_are_its_parameters(network):
    loss = EED(ensemble_weights="learned").build_for(network)
    torch.stack([*loss(network(IMAGES), LABELS).values()]).sum().backward()
    assert [weight.grad is not None for weight in loss.parameters()] == [True]


def test_a_teacher_is_not_trained(alone):
    teacher = attach_exits(Small(), "none", image_shape=(3, 32, 32))
    for method in (KD(), FitNet()):
        loss = method.build_for(alone, teacher=teacher)
        torch.stack([*loss(alone(IMAGES), LABELS, images=IMAGES).values()]).sum().backward()
        assert all(weight.grad is None for weight in teacher.parameters())
        assert {id(weight) for weight in loss.parameters()}.isdisjoint(id(weight) for weight in teacher.parameters())
        assert not teacher.training


@pytest.mark.parametrize(
    ("method", "with_exits", "with_teacher", "message"),
    [
        (EED(), False, False, "eed needs exits; attach some"),
        (Baseline(), True, False, "baseline trains no exits, but the network has 3"),
        (KD(), False, False, "kd needs a teacher: build_for"),
        (FinalTarget(), True, True, "final_target has no teacher; leave it out"),
        (DML(), False, False, "dml reads more than one network's outputs"),
    ],
)
def test_what_does_not_fit_is_one_message(network, alone, method, with_exits, with_teacher, message):
    with pytest.raises(SpecError) as refused:
        method.build_for(network if with_exits else alone, teacher=alone if with_teacher else None)
    assert message in str(refused.value)


def test_a_teacher_needs_the_images(alone):
    loss = KD().build_for(alone, teacher=attach_exits(Small(), "none", image_shape=(3, 32, 32)))
    with pytest.raises(SpecError, match="call the loss with images=images"):
        loss(alone(IMAGES), LABELS)


@pytest.mark.parametrize("name", sorted(methods))
def test_each_method_is_built_or_refused_in_one_message(network, alone, name):
    method = methods[name]()
    student = network if method.exits == "required" else alone
    teacher = alone if method.teacher != "ignored" else None
    if method.needs_more_than_outputs():
        with pytest.raises(SpecError, match="train it with `exeunt sweep`"):
            method.build_for(student, teacher=teacher)
        return
    loss = method.build_for(student, teacher=teacher)
    terms = loss(student(IMAGES), LABELS, progress=1.0, images=IMAGES)
    assert torch.stack([*terms.values()]).sum().isfinite()
