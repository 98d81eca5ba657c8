import pytest
import torch
from exeunt.losses import EED, FinalTarget
from exeunt.losses.functional import eed_loss, ramp
from exeunt.specs import SpecError

from .formulas import built, inputs_of, total

VARIANTS = [
    (EED(), {}),
    (EED(output_loss="kl"), {"output_loss": "kl"}),
    (
        EED(output_loss="kl", temperature=2, output_weight=0.3, feature_weight=0, label_weight=0.5),
        {"output_loss": "kl", "temperature": 2, "output_weight": 0.3, "feature_weight": 0, "label_weight": 0.5},
    ),
    (EED(ensemble="probabilities", leave_one_out=True), {"ensemble": "probabilities", "leave_one_out": True}),
    (EED(ramp_up=0.5), {"distillation_weight": ramp(0.25, 0.5)}),
    (EED(ensemble_weights="beed", ensemble_base=2), {"weights": {0: 1, 1: 2, 2: 4}}),
    (EED(ensemble_exits="1,final", taught_exits="2"), {"weights": {0: 5, 2: 5}, "taught": [1]}),
    (FinalTarget(), {"weights": {2: 1}, "taught": range(2)}),
]


@pytest.mark.parametrize(("method", "arguments"), VARIANTS, ids=[repr(method) for method, _ in VARIANTS])
def test_eed_loss_gives_the_terms_and_gradients_of_the_method(method, arguments):
    inputs = inputs_of()
    terms = eed_loss(inputs.logits, inputs.features, inputs.labels, **arguments)
    expected = built(method, inputs)(inputs)
    torch.testing.assert_close(terms, expected)
    tensors = (*inputs.logits, *inputs.features)
    grads = [torch.autograd.grad(total(each), tensors, allow_unused=True) for each in (terms, expected)]
    torch.testing.assert_close(*([g for g in grad if g is not None] for grad in grads))


@pytest.mark.parametrize("arguments", [{"output_loss": "kll"}, {"ensemble": "logit"}])
def test_eed_loss_refuses_an_unknown_variant_with_the_nearest(arguments):
    inputs = inputs_of()
    with pytest.raises(SpecError, match="nearest"):
        eed_loss(inputs.logits, inputs.features, inputs.labels, **arguments)
