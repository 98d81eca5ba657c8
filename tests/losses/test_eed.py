from dataclasses import replace

import numpy as np
import pytest
import torch
from exeunt.losses import EED, FinalTarget, LossInputs, NetworkShape
from exeunt.specs import SpecError
from hypothesis import given
from hypothesis import strategies as st

from .formulas import (
    EXITS,
    PROGRESS,
    STEP,
    arrays,
    built,
    check_gradient,
    check_terms,
    cross_entropies,
    distribution_divergence,
    divergence,
    inputs_of,
    masked,
    powers_of,
    softmax,
    total,
)

SCORES = (0.3, -0.7, 0.9)
METHODS = [
    EED(output_loss=output_loss, temperature=2.5, ensemble=ensemble, **axes)
    for output_loss in ("mse", "kl")
    for ensemble in ("logits", "probabilities")
    for axes in (
        {"output_weight": 0.7, "feature_weight": 0},
        {"label_weight": 0.4, "ramp_up": 0.5, "feature_weight": 0.3},
        {"ensemble_weights": "beed", "ensemble_exits": "1,final", "taught_exits": "1,2"},
        {"ensemble_weights": "learned", "leave_one_out": True},
    )
]


def eed(method, now, past, labels, loss):
    scores = loss.scores.detach().numpy() if method.ensemble_weights == "learned" else np.zeros(EXITS)
    names = ["1", "2", "final"]
    members = [i for i, name in enumerate(names) if method.ensemble_exits == "all" or name in method.ensemble_exits]
    taught = [i for i, name in enumerate(names) if method.taught_exits == "all" or name in method.taught_exits]
    weights = {
        "uniform": np.ones(len(members)),
        "beed": powers_of(1.6, len(members)),
        "learned": softmax(scores)[: len(members)],
    }[method.ensemble_weights]

    def ensemble(outputs, without=None):
        chosen = [(w, outputs[i]) for w, i in zip(weights, members, strict=True) if i != without]
        return sum(w * output for w, output in chosen) / sum(w for w, _ in chosen)

    mse = method.output_loss == "mse"
    temperature = 1.0 if mse else method.temperature
    past_shares = [softmax(z / temperature) for z in past["logits"]]
    output, feature = 0.0, 0.0
    for i in taught:
        without = i if method.leave_one_out else None
        z = now["logits"][i]
        if method.ensemble == "logits":
            target = ensemble(past["logits"], without)
            output += np.mean((z - target) ** 2) if mse else divergence(target, z, temperature)
        else:
            target = ensemble(past_shares, without)
            output += np.mean((softmax(z) - target) ** 2) if mse else distribution_divergence(target, z, temperature)
        feature += masked(now["features"][i], ensemble(past["features"], without))
    share = min(1, PROGRESS / method.ramp_up) if method.ramp_up else 1
    terms = {
        "label": method.label_weight * sum(cross_entropies(z, labels).mean() for z in now["logits"]),
        "output": share * method.output_weight * output,
    }
    if method.feature_weight:
        terms["feature"] = share * method.feature_weight * feature
    if method.ensemble_weights == "learned":
        terms["ensemble"] = cross_entropies(ensemble(past["logits"]), labels).mean()
    return terms


def with_scores(method):
    """Build the loss for three exits, with unequal ensemble weights if they are learned."""
    loss = built(method, inputs_of())
    if method.ensemble_weights == "learned":
        loss.scores.data = torch.tensor(SCORES, dtype=torch.float64)
    return loss


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("seed", range(3))
def test_the_terms_are_those_of_the_equations(method, seed):
    check_terms(method, eed, seed, with_scores(method))


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_the_gradient_is_that_of_the_equations_with_constant_targets(method):
    check_gradient(method, eed, with_scores(method))


@pytest.mark.parametrize("output_loss", ["mse", "kl"])
@pytest.mark.parametrize("features", [True, False])
def test_the_defaults_are_the_authors_program(output_loss, features):
    """Reductions and constants of hjdw2/Exit-Ensemble-Distillation at 146c9cf, use_EED on."""
    inputs = inputs_of(exits=4, images=8, classes=7, width=6)
    z, f = arrays(inputs)["logits"], arrays(inputs)["features"]
    t, tf, taught = sum(z) / 4, sum(f) / 4, 4
    whole = sum(cross_entropies(zi, inputs.labels.numpy()).mean() for zi in z)
    if features:
        whole += sum(masked(fi, tf) for fi in f[:taught])
    if output_loss == "mse":
        whole += sum(((zi - t) ** 2).mean() for zi in z[:taught])
    else:
        p = softmax(t / 3)
        crossed = [-(p * np.log(softmax(zi / 3))).sum(1).mean() for zi in z[:taught]]
        entropy = -(p * np.log(p)).sum(1).mean()
        whole += 0.1 * 9 * (sum(crossed) - taught * entropy)  # the authors' code uses the cross-entropy
    method = EED(output_loss=output_loss, **({} if features else {"feature_weight": 0}))
    assert float(total(built(method, inputs)(inputs)).detach()) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("ensemble", ["logits", "probabilities"])
def test_learned_weights_follow_the_gradient_of_the_ensembles_cross_entropy_alone(ensemble):
    inputs = inputs_of()
    method = EED(ensemble_weights="learned", ensemble=ensemble)
    loss, values = with_scores(method), arrays(inputs)
    total(loss(inputs)).backward()
    exact, numeric = loss.scores.grad.numpy(), []
    for place in range(EXITS):
        ends = []
        for step in (STEP, -STEP):
            loss.scores.data = torch.tensor(SCORES, dtype=torch.float64)
            loss.scores.data[place] += step
            ends.append(eed(method, values, values, inputs.labels.numpy(), loss)["ensemble"])
        numeric.append((ends[0] - ends[1]) / (2 * STEP))
    np.testing.assert_allclose(exact, numeric, rtol=1e-6, atol=1e-8)


@given(
    method=st.builds(EED, output_loss=st.just("kl"), temperature=st.floats(0.5, 20), output_weight=st.floats(0.01, 2)),
    logits=st.lists(st.lists(st.floats(-30, 30), min_size=3, max_size=3), min_size=2, max_size=5),
)
@pytest.mark.slow
def test_a_divergence_is_the_cross_entropy_less_the_targets_entropy(method, logits):
    """The authors' code uses the cross-entropy to the softened target: a different value, the same gradient."""
    z = [torch.tensor([row], dtype=torch.float64, requires_grad=True) for row in logits]
    features = tuple(torch.zeros(1, 2, dtype=torch.float64) for _ in z)
    inputs = LossInputs(logits=tuple(z), features=features, labels=torch.tensor([0]))
    term = method.build(NetworkShape(exits=len(z), classes=z[0].shape[1], feature_dim=1))(inputs)["output"]
    target = torch.stack(z).detach().mean(0).div(method.temperature).softmax(1)
    scale = method.temperature**2 * method.output_weight
    crossed = [-(target * (zi / method.temperature).log_softmax(1)).sum() for zi in z]
    entropy = torch.special.entr(target).sum()
    torch.testing.assert_close(term, scale * (sum(crossed) - len(z) * entropy), rtol=1e-6, atol=1e-9 * scale)
    ours, theirs = torch.autograd.grad(term, z), torch.autograd.grad(scale * sum(crossed), z)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


def test_an_ensemble_of_the_final_exit_alone_is_the_final_target():
    inputs = inputs_of()
    ensemble, final = (built(method, inputs)(inputs) for method in (EED(ensemble_exits="final"), FinalTarget()))
    torch.testing.assert_close(ensemble, final)
    grads = [torch.autograd.grad(total(terms), inputs.logits) for terms in (ensemble, final)]
    torch.testing.assert_close(*grads)


def test_leaving_one_out_doubles_what_two_exits_differ_by():
    inputs = inputs_of(exits=2)
    left_out, whole = (built(EED(leave_one_out=out), inputs)(inputs)["output"] for out in (True, False))
    torch.testing.assert_close(left_out, 4 * whole)


@pytest.mark.parametrize(("progress", "share"), [(0.0, 0.0), (0.1, 0.25), (0.4, 1.0), (0.9, 1.0)])
def test_distillation_rises_linearly_and_labels_stay(progress, share):
    inputs = replace(inputs_of(), progress=progress)
    ramped, constant = (built(EED(ramp_up=ramp_up), inputs)(inputs) for ramp_up in (0.4, 0))
    for name, term in constant.items():
        torch.testing.assert_close(ramped[name], term if name == "label" else share * term)


def test_the_order_of_the_exits_does_not_matter_where_all_count_alike():
    inputs, order = inputs_of(exits=4), (2, 0, 3, 1)
    shuffled = replace(
        inputs, logits=tuple(inputs.logits[i] for i in order), features=tuple(inputs.features[i] for i in order)
    )
    for output_loss in ("mse", "kl"):
        loss = built(EED(output_loss=output_loss), inputs)
        torch.testing.assert_close(loss(shuffled), loss(inputs), rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", [EED, FinalTarget])
def test_the_output_weight_is_the_authors_unless_given(kind):
    assert kind().output_weight == 1.0
    assert kind(output_loss="kl").output_weight == 0.1
    assert kind(output_loss="kl", output_weight=1).output_weight == 1.0


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (EED(temperature=7), EED()),
        (EED(output_weight=1), EED()),
        (EED(output_loss="kl", output_weight=0.1), EED(output_loss="kl")),
        (EED(output_loss="kl", temperature=9, output_weight=0), EED(output_weight=0)),
        (EED(ensemble_base=3), EED()),
        (EED(ensemble_exits="final, 1"), EED(ensemble_exits="1,final")),
        (EED(taught_exits="10,2"), EED(taught_exits="2,10")),
        (EED(ensemble_exits="2", ensemble_weights="learned"), EED(ensemble_exits="2")),
        (EED(ensemble_exits="1", taught_exits="2", leave_one_out=True), EED(ensemble_exits="1", taught_exits="2")),
        (EED(output_weight=0, ensemble="probabilities"), EED(output_weight=0)),
        (
            EED(output_weight=0, feature_weight=0, ensemble_weights="beed", taught_exits="1", ramp_up=0.5),
            EED(output_weight=0, feature_weight=0),
        ),
    ],
)
def test_two_ways_of_writing_a_method_have_one_canonical_form(typed, meant):
    assert typed.canonical() == meant.canonical()
    assert typed.to_dict() == meant.to_dict()
    assert type(typed).from_dict(typed.to_dict()) == typed.canonical()


def test_all_exits_by_name_are_all_of_a_network_that_has_no_more():
    named = EED(ensemble_exits="final,1,2,3", taught_exits="1,2")
    assert named.canonical(4) == EED(taught_exits="1,2")
    assert named.canonical(5) == named.canonical() == named
    assert EED(ensemble_exits="1,final", taught_exits="1,final").canonical(2) == EED()
    weightless = EED(output_weight=0, feature_weight=0, taught_exits="1")
    assert weightless.canonical(2).taught_exits == "all"


def test_a_temperature_that_softens_something_is_kept():
    assert EED(output_loss="kl", temperature=7).canonical().temperature == 7


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"output_loss": "kll"}, "'kl'"),
        ({"temperature": 0}, "0 < temperature"),
        ({"feature_weight": -1}, "0 <= feature_weight"),
        ({"output_weight": -1}, "0 <= output_weight"),
        ({"ensemble_exits": "fianl"}, "the nearest is 'final'"),
        ({"taught_exits": "0"}, "unknown exit '0'"),
        ({"taught_exits": "1,1"}, "listed twice"),
        ({"taught_exits": "1,all"}, "unknown exit 'all'"),
        ({"taught_exits": ""}, "unknown exit ''"),
        ({"taught_exits": "2", "ensemble_exits": "2"}, "the only ensemble exit and the only taught exit"),
        ({"ensemble_weights": "bead"}, "'beed'"),
        ({"label_weight": 0}, "0 < label_weight"),
        ({"ramp_up": 1.5}, "0 <= ramp_up <= 1"),
    ],
)
def test_settings_outside_their_range_are_refused(settings, said):
    with pytest.raises(SpecError, match=said):
        EED(**settings)


@pytest.mark.parametrize(
    ("method", "exits", "said"),
    [
        (EED(ensemble_exits="1,4"), 4, "no exit '4'; its exits are 1, 2, 3, final"),
        (EED(taught_exits="3"), 3, "no exit '3'; its exits are 1, 2, final"),
        (EED(ensemble_exits="2", leave_one_out=True), 4, "it would have no target"),
    ],
)
def test_settings_that_do_not_fit_a_network_are_refused_before_it_is_built(method, exits, said):
    with pytest.raises(SpecError, match=said):
        method.check(exits)
    with pytest.raises(SpecError, match=said):
        method.build(NetworkShape(exits=exits, classes=3, feature_dim=4))
