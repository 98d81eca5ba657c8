"""Tests of the two forms of a loss, and of what importing methods costs."""

import subprocess
import sys
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from exeunt.losses import (
    BYOT,
    EED,
    JEIDNN,
    ONE,
    Baseline,
    DistillationBasedTraining,
    FitNet,
    Loss,
    LossInputs,
    Method,
    NetworkShape,
    ShallowDeep,
    methods,
)
from exeunt.losses.functional import cross_entropy_sum
from exeunt.specs import Positive
from torch import nn

from .formulas import inputs_of, total

SHAPE = NetworkShape(exits=3, classes=3, feature_dim=4, stage_channels=(2, 3), teacher_stage_channels=(4, 5))
IMPORTS = """
import sys
import exeunt.losses, exeunt.losses.functional
from exeunt.losses import EED, LossInputs, NetworkShape, methods
for name in methods:
    exits = 3 if methods[name].exits == "required" else 1
    spec = methods[name]()
    spec.check(exits)
    assert methods[name].from_dict(spec.to_dict()) == spec.canonical(exits)
NetworkShape(exits=3, classes=10, feature_dim=4)
LossInputs(logits=(), features=(), labels=None)
heavy = {"torch", "torchvision", "numpy", "exeunt.losses.module"} & {*sys.modules}
assert not heavy, heavy
assert "Loss" in dir(exeunt.losses)
from exeunt.losses import Loss
assert "torch" in sys.modules and issubclass(Loss, sys.modules["torch"].nn.Module)
"""


class ScaledLoss(Loss["Scaled"]):
    """Loss in the form of 0.1.0: a module that the settings name."""

    def __init__(self, settings: "Scaled", shape: NetworkShape) -> None:
        super().__init__(settings, shape)
        self.scale = nn.Parameter(torch.full((shape.exits,), settings.strength))

    def forward(self, inputs: LossInputs) -> dict[str, torch.Tensor]:
        return {"label": self.scale.sum() * cross_entropy_sum(inputs.logits, inputs.labels)}


@dataclass(frozen=True, kw_only=True)
class Scaled(Method):
    paper: ClassVar[str] = "none"
    loss: ClassVar[type[ScaledLoss]] = ScaledLoss
    exits: ClassVar[Any] = "optional"
    strength: Positive = 2.0


@dataclass(frozen=True, kw_only=True)
class Counted(Method):
    """Method with a module, a parameter and a buffer: the number of the training step."""

    paper: ClassVar[str] = "none"
    exits: ClassVar[Any] = "optional"

    def build_learned(self, shape):
        return {
            "layer": nn.Linear(shape.classes, shape.classes),
            "scale": nn.Parameter(torch.ones(())),
            "steps": torch.tensor(1.0),
        }

    def loss(self, inputs, learned):
        logits = [learned["layer"](z) * learned["scale"] for z in inputs.logits]
        return {"label": cross_entropy_sum(logits, inputs.labels) * learned["steps"]}

    def next_buffers(self, inputs, learned):
        del inputs
        return {"steps": learned["steps"] + 1}


@pytest.mark.slow
def test_importing_the_methods_and_their_settings_needs_no_torch():
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)


def test_a_loss_that_is_a_module_is_built_from_settings_and_shape():
    loss = Scaled(strength=3.0).build(SHAPE)
    assert isinstance(loss, ScaledLoss)
    assert loss.scale.tolist() == [3.0, 3.0, 3.0]
    inputs = inputs_of()
    plain = Baseline().build(NetworkShape(exits=1, classes=3, feature_dim=4))(inputs)["label"]
    torch.testing.assert_close(loss(inputs)["label"], 9 * plain)


def test_a_loss_that_is_a_function_gets_what_its_method_learns():
    loss, inputs = Counted().build(SHAPE).double(), inputs_of()
    assert isinstance(loss, Loss)
    assert {name for name, _ in loss.named_parameters()} == {"layer.weight", "layer.bias", "scale"}
    assert loss.state_dict().keys() == {"layer.weight", "layer.bias", "scale", "steps"}
    first = loss(inputs)["label"]
    second = loss(inputs)["label"]
    torch.testing.assert_close(second, 2 * first)
    first.backward()  # with the buffer of its own step, although two steps have changed it
    assert all(parameter.grad.abs().sum() > 0 for parameter in loss.parameters())
    assert float(loss.steps) == 3
    loss.eval()
    torch.testing.assert_close(loss(inputs)["label"], 3 * first)
    assert float(loss.steps) == 3


def test_a_loss_reads_modules_that_were_replaced_after_it_was_built():
    loss, inputs = Counted().build(SHAPE).double(), inputs_of()
    loss.eval()(inputs)
    loss.layer = nn.Identity()  # as for batch normalisation that is synchronised
    torch.testing.assert_close(loss(inputs)["label"], cross_entropy_sum(inputs.logits, inputs.labels))


def test_a_method_without_a_loss_cannot_be_used():
    class Lacking(Method):
        paper: ClassVar[str] = "none"

    with pytest.raises(TypeError, match="abstract"):
        Lacking()


STATES = [
    (EED(), {}),
    (EED(ensemble_weights="learned"), {"scores": (3,)}),
    (EED(ensemble_weights="learned", ensemble_exits="1,final"), {"scores": (2,)}),
    (DistillationBasedTraining(), {"temperature": ()}),
    (BYOT(), {"adapt0.weight": (4, 4), "adapt0.bias": (4,)}),
    (ShallowDeep(), {"costs": (2,)}),
    (
        JEIDNN(),
        {
            "costs": (3,),
            "gates.0.weight": (1, 4),
            "gates.0.bias": (1,),
            "gates.1.weight": (1, 4),
            "gates.1.bias": (1,),
        },
    ),
    (
        ONE(),
        {
            "linear.weight": (3, 4),
            "linear.bias": (3,),
            "norm.weight": (3,),
            "norm.bias": (3,),
            "norm.running_mean": (3,),
            "norm.running_var": (3,),
            "norm.num_batches_tracked": (),
        },
    ),
    (
        FitNet(),
        {
            "regressor.0.weight": (4, 2, 1, 1),
            "regressor.1.weight": (4,),
            "regressor.1.bias": (4,),
            "regressor.1.running_mean": (4,),
            "regressor.1.running_var": (4,),
            "regressor.1.num_batches_tracked": (),
        },
    ),
]


@pytest.mark.parametrize(("method", "state"), STATES, ids=[repr(method) for method, _ in STATES])
def test_the_state_has_these_names(method, state):
    """Checkpoints of earlier releases are continued."""
    exits = 1 if method.exits == "ignored" else 3
    loss = method.build(
        NetworkShape(
            exits=exits,
            classes=3,
            feature_dim=4,
            stage_channels=(2, 3),
            teacher_stage_channels=(4, 5),
            exit_costs=(0.3, 0.6, 1),
        )
    )
    assert [(name, tuple(value.shape)) for name, value in loss.state_dict().items()] == [*state.items()]


def test_all_other_methods_have_no_state():
    own = {method.name for method, _ in STATES} | {"crd", "review_kd"}
    for name in methods:
        if name not in own:
            method = methods[name]()
            exits = methods[name].field_infos()["networks"].default if method.cohort else 3
            exits = 1 if method.exits == "ignored" and not method.cohort else exits
            assert method.build(NetworkShape(exits=exits, classes=3, feature_dim=4)).state_dict() == {}


def test_the_initial_weights_are_those_that_torch_draws():
    for method, draw in (
        (ONE(), lambda: nn.Linear(4, 3).weight),
        (FitNet(), lambda: nn.Conv2d(2, 4, 1, bias=False).weight),
    ):
        torch.manual_seed(3)
        expected, state = draw(), torch.get_rng_state()
        torch.manual_seed(3)
        exits = 1 if method.exits == "ignored" else 3
        loss = method.build(
            NetworkShape(exits=exits, classes=3, feature_dim=4, stage_channels=(2, 3), teacher_stage_channels=(4, 5))
        )
        assert torch.equal(next(loss.parameters()), expected)
        assert torch.equal(torch.get_rng_state(), state)


def test_a_loss_leaves_its_inputs_and_what_it_learns_unchanged():
    for method in (ONE(), EED(ensemble_weights="learned"), DistillationBasedTraining()):
        loss, inputs = method.build(SHAPE).double(), inputs_of()
        parameters = [parameter.clone() for parameter in loss.parameters()]
        logits = [z.clone() for z in inputs.logits]
        total(loss(inputs)).backward()
        assert all(map(torch.equal, loss.parameters(), parameters))
        assert all(map(torch.equal, inputs.logits, logits))
