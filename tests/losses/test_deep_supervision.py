import pytest
from exeunt.losses import DeepSupervision
from exeunt.specs import SpecError

from .formulas import check_gradient, check_terms, cross_entropies

METHODS = [DeepSupervision(), DeepSupervision(auxiliary_weight=0.3)]


def deep_supervision(method, now, _, labels, __):
    *others, final = (cross_entropies(z, labels).mean() for z in now["logits"])
    return {"label": final, "auxiliary": method.auxiliary_weight * sum(others)}


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("seed", range(3))
def test_the_terms_are_those_of_the_equations(method, seed):
    check_terms(method, deep_supervision, seed)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_the_gradient_is_that_of_the_equations_with_constant_targets(method):
    check_gradient(method, deep_supervision)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"auxiliary_weight": -1}, "0 <= auxiliary_weight"),
    ],
)
def test_settings_outside_their_range_are_refused(settings, said):
    with pytest.raises(SpecError, match=said):
        DeepSupervision(**settings)
