"""Methods for networks with several exits, and for cohorts, against their equations written once more in NumPy."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from exeunt.losses import EED, FinalTarget, LossInputs, NetworkShape
from exeunt.losses.beed import BEED
from exeunt.losses.byot import BYOT
from exeunt.losses.deep_supervision import DeepSupervision
from exeunt.losses.dks import DKS
from exeunt.losses.dml import DML
from exeunt.losses.kdcl import KDCL
from exeunt.losses.one import ONE
from exeunt.losses.phuong import Phuong
from exeunt.losses.terms import softened_divergence
from exeunt.specs import SpecError
from hypothesis import given, settings
from hypothesis import strategies as st

STEP = 1e-6
EXITS = 3
SCORES = np.array([0.3, -0.7, 0.9])  # of learned ensemble weights
PROGRESS = 0.25

METHODS = [
    DeepSupervision(),
    DeepSupervision(auxiliary_weight=0.3),
    BYOT(feature_weight=0.2),
    BYOT(temperature=1.5, output_weight=0.6, feature_weight=0),
    BEED(),
    BEED(temperature=2, ensemble_base=0.7, balance_base=1.3, feature_weight=0),
    DKS(output_weight=0.8),
    ONE(),
    ONE(temperature=1.5, output_weight=0.4),
    Phuong(),
    Phuong(temperature=2.5, output_weight=0.2),
    DML(networks=3, output_weight=0.7),
    *(KDCL(networks=3, ensemble=ensemble) for ensemble in ("naive", "minlogit", "mean")),
    FinalTarget(label_weight=0.4, ramp_up=0.5),
    *(
        EED(output_loss=output_loss, temperature=2.5, ensemble=ensemble, **axes)
        for output_loss in ("mse", "kl")
        for ensemble in ("logits", "probabilities")
        for axes in (
            {"label_weight": 0.4, "ramp_up": 0.5},
            {"ensemble_weights": "beed", "ensemble_exits": "1,final", "taught_exits": "1,2"},
            {"ensemble_weights": "learned", "leave_one_out": True},
        )
    ),
]
each_method = pytest.mark.parametrize("method", METHODS, ids=repr)


def softmax(z, axis=-1):
    powers = np.exp(z - z.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def cross_entropies(z, labels):
    return -np.log(softmax(z)[np.arange(len(labels)), labels])


def divergence(target, z, temperature=1.0):
    """The target is a distribution or, by default, logits."""
    return distribution_divergence(softmax(target / temperature), z, temperature)


def distribution_divergence(p, z, temperature):
    return temperature**2 * np.mean(np.sum(p * (np.log(p) - np.log(softmax(z / temperature))), axis=1))


def masked(f, t):
    return np.mean((f - t) ** 2 * ((f > 0) | (t > 0)))


def powers_of(base, count):
    return np.array([base**k for k in range(count)])


def deep_supervision(method, now, _, labels):
    *others, final = (cross_entropies(z, labels).mean() for z in now["logits"])
    return {"label": final, "auxiliary": method.auxiliary_weight * sum(others)}


def byot(method, now, past, labels):
    a, final = method.output_weight, EXITS - 1
    entropies = [cross_entropies(z, labels).mean() for z in now["logits"]]
    taught = [divergence(past["logits"][final], z, method.temperature) for z in now["logits"][:final]]
    terms = {"label": entropies[final] + (1 - a) * sum(entropies[:final]), "output": a * sum(taught)}
    if method.feature_weight:
        hints = [np.sum((f - past["features"][final]) ** 2, axis=1).mean() for f in now["features"][:final]]
        terms["feature"] = method.feature_weight * sum(hints)
    return terms


def beed(method, now, past, labels):
    weights = powers_of(method.ensemble_base, EXITS) / powers_of(method.ensemble_base, EXITS).sum()
    target_logits = sum(w * z for w, z in zip(weights, past["logits"], strict=True))
    target_maps = sum(w * m for w, m in zip(weights, past["maps"], strict=True))
    label, output = 0.0, 0.0
    for i, z in enumerate(now["logits"]):
        balance = method.balance_base ** (EXITS - 1 - i)
        label += (2 - balance) * cross_entropies(z, labels).mean()
        output += balance * divergence(target_logits, z, method.temperature)
    terms = {"label": label, "output": output}
    if method.feature_weight:
        terms["feature"] = method.feature_weight * sum(np.mean((m - target_maps) ** 2) for m in now["maps"])
    return terms


def mutual(method, now, past, labels):
    pairs = itertools.permutations(range(EXITS), 2)
    output = method.output_weight * sum(divergence(past["logits"][j], now["logits"][i]) for i, j in pairs)
    label = sum(cross_entropies(z, labels).mean() for z in now["logits"])
    return {"label": label, "output": output / (EXITS - 1) if isinstance(method, DML) else output}


def gate(loss, features):
    scores = features @ loss.linear.weight.detach().numpy().T + loss.linear.bias.detach().numpy()
    scores = (scores - scores.mean(0)) / np.sqrt(scores.var(0) + 1e-5)
    return softmax(np.maximum(scores, 0))


def one(method, now, past, labels, loss):
    ensembles = [
        sum(weights[:, [i]] * z for i, z in enumerate(at["logits"]))
        for at in (now, past)
        for weights in [gate(loss, at["features"][0])]
    ]
    taught = [divergence(ensembles[1], z, method.temperature) for z in now["logits"]]
    return {
        "label": sum(cross_entropies(z, labels).mean() for z in now["logits"]),
        "ensemble": cross_entropies(ensembles[0], labels).mean(),
        "output": method.output_weight * sum(taught),
    }


def phuong(method, now, past, labels):
    weight = method.output_weight
    taught = [divergence(past["logits"][-1], z, method.temperature) for z in now["logits"][:-1]]
    label = sum(cross_entropies(z, labels).mean() for z in now["logits"])
    return {"label": (1 - weight) * label, "output": weight * sum(taught)}


def kdcl(method, now, past, labels):
    z, rows = np.stack(past["logits"]), np.arange(len(labels))
    if method.ensemble == "naive":
        best = np.argmin([cross_entropies(network, labels) for network in z], axis=0)
        target = z[best, rows]
    elif method.ensemble == "minlogit":
        target = np.min([network - network[rows, labels][:, None] for network in z], axis=0)
    else:
        target = sum(z) / len(z)
    taught = [divergence(target, network, method.temperature) for network in now["logits"]]
    label = sum(cross_entropies(network, labels).mean() for network in now["logits"])
    return {"label": label, "output": method.output_weight * sum(taught)}


def final_target(method, now, past, labels):
    share = min(1, PROGRESS / method.ramp_up)
    z, f = now["logits"], now["features"]
    return {
        "label": method.label_weight * sum(cross_entropies(zi, labels).mean() for zi in z),
        "output": share * sum(np.mean((zi - past["logits"][-1]) ** 2) for zi in z[:-1]),
        "feature": share * sum(masked(fi, past["features"][-1]) for fi in f[:-1]),
    }


def eed(method, now, past, labels, scores=SCORES):
    names = ["1", "2", "final"]
    voters = [i for i, name in enumerate(names) if method.ensemble_exits == "all" or name in method.ensemble_exits]
    taught = [i for i, name in enumerate(names) if method.taught_exits == "all" or name in method.taught_exits]
    weights = {
        "uniform": np.ones(len(voters)),
        "beed": powers_of(1.6, len(voters)),
        "learned": softmax(scores)[: len(voters)],
    }[method.ensemble_weights]

    def ensemble(outputs, without=None):
        chosen = [(w, outputs[i]) for w, i in zip(weights, voters, strict=True) if i != without]
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
        "output": share * (1.0 if mse else 0.1) * output,
        "feature": share * feature,
    }
    if method.ensemble_weights == "learned":
        terms["ensemble"] = cross_entropies(ensemble(past["logits"]), labels).mean()
    return terms


REFERENCES = {
    DeepSupervision: deep_supervision,
    BYOT: byot,
    BEED: beed,
    DKS: mutual,
    DML: mutual,
    ONE: one,
    Phuong: phuong,
    KDCL: kdcl,
    FinalTarget: final_target,
    EED: eed,
}


def expected(method, loss, now, past, labels):
    """The terms where the exits say what `now` holds and targets are made of `past`."""
    context = (loss,) if isinstance(method, ONE) else ()
    return REFERENCES[type(method)](method, now, past, labels, *context)


def inputs_of(*, exits=EXITS, images=3, classes=3, width=4, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape):
        values = 2 * torch.randn(shape, generator=generator, dtype=torch.float64)
        return (values + 0.1 * values.sign()).to(dtype).requires_grad_()

    return LossInputs(
        logits=tuple(drawn(images, classes) for _ in range(exits)),
        features=tuple(drawn(images, width) for _ in range(exits)),
        maps=tuple(drawn(images, width, 2, 1) for _ in range(exits)),
        labels=torch.randint(0, classes, (images,), generator=generator),
        progress=PROGRESS,
    )


def built(method, inputs):
    exits = len(inputs.logits)
    classes, width = inputs.logits[0].shape[1], inputs.features[0].shape[1]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        loss = method.build(NetworkShape(exits=exits, classes=classes, width=width))
    loss = loss.double() if inputs.logits[0].dtype == torch.float64 else loss
    if isinstance(method, EED) and loss.scores is not None:
        loss.scores.data = torch.tensor(np.resize(SCORES, exits), dtype=loss.scores.dtype)
    return loss


def outputs_of(inputs):
    return {name: getattr(inputs, name) for name in ("logits", "features", "maps")}


def arrays(inputs):
    return {name: [part.detach().numpy().copy() for part in parts] for name, parts in outputs_of(inputs).items()}


def total(terms):
    return torch.stack(list(terms.values())).sum()


@each_method
@pytest.mark.parametrize("seed", range(3))
def test_the_terms_are_those_of_the_equations(method, seed):
    inputs = inputs_of(images=5, classes=4, seed=seed)
    loss, values = built(method, inputs), arrays(inputs)
    named = expected(method, loss, values, values, inputs.labels.numpy())
    assert {name: float(term.detach()) for name, term in loss(inputs).items()} == pytest.approx(named, rel=1e-10)


@each_method
def test_the_gradient_is_that_of_the_equations_with_constant_targets(method):
    inputs = inputs_of()
    loss, now, past = built(method, inputs), arrays(inputs), arrays(inputs)
    total(loss(inputs)).backward()
    for name, parts in outputs_of(inputs).items():
        for tensor, array in zip(parts, now[name], strict=True):
            numeric = np.zeros_like(array)
            for place in np.ndindex(array.shape):
                sums = []
                for step in (STEP, -STEP):
                    moved = array[place]
                    array[place] = moved + step
                    sums.append(sum(expected(method, loss, now, past, inputs.labels.numpy()).values()))
                    array[place] = moved
                numeric[place] = (sums[0] - sums[1]) / (2 * STEP)
            exact = np.zeros_like(array) if tensor.grad is None else tensor.grad.numpy()
            np.testing.assert_allclose(exact, numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("ensemble", ["logits", "probabilities"])
def test_learned_weights_follow_the_gradient_of_the_ensembles_cross_entropy_alone(ensemble):
    inputs = inputs_of()
    method = EED(ensemble_weights="learned", ensemble=ensemble)
    loss, values = built(method, inputs), arrays(inputs)
    total(loss(inputs)).backward()
    numeric = []
    for step in STEP * np.eye(EXITS):
        up, down = (eed(method, values, values, inputs.labels.numpy(), SCORES + s)["ensemble"] for s in (step, -step))
        numeric.append((up - down) / (2 * STEP))
    np.testing.assert_allclose(loss.scores.grad.numpy(), numeric, rtol=1e-6, atol=1e-8)


def test_the_gate_is_trained_by_the_ensembles_cross_entropy():
    inputs = inputs_of(images=6)
    loss = built(ONE(), inputs)
    by_all = torch.autograd.grad(total(loss(inputs)), loss.linear.weight)
    by_ensemble = torch.autograd.grad(loss(inputs)["ensemble"], loss.linear.weight)
    torch.testing.assert_close(by_all, by_ensemble)
    assert by_all[0].abs().sum() > 0


def test_a_gate_weighs_a_batch_of_one_image():
    inputs = inputs_of(images=1)
    assert torch.isfinite(total(built(ONE(), inputs)(inputs)))


def test_beed_compares_pooled_features_where_maps_differ_in_size():
    inputs = inputs_of()
    maps = (*inputs.maps[:-1], torch.zeros(3, 4, 1, 1, dtype=torch.float64))
    term = built(BEED(), inputs)(replace(inputs, maps=maps))["feature"]
    as_maps = tuple(f[:, :, None, None] for f in inputs.features)
    torch.testing.assert_close(term, built(BEED(), inputs)(replace(inputs, maps=as_maps))["feature"])


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


def test_the_temperature_grows_while_the_final_exit_is_sure_and_is_part_of_the_state():
    inputs = inputs_of()
    sure = replace(inputs, logits=(*inputs.logits[:-1], 20.0 * torch.eye(3, dtype=torch.float64)))
    unsure = replace(inputs, logits=(*inputs.logits[:-1], torch.zeros(3, 3, dtype=torch.float64)))
    loss = Phuong().build(NetworkShape(exits=3, classes=3, width=4))
    total(loss(sure)).backward()
    total(loss(sure)).backward()
    assert float(loss.state_dict()["temperature"]) == pytest.approx(1.05**2)
    loss(unsure)
    loss.eval()
    loss(sure)
    assert float(loss.temperature) == pytest.approx(1.05**2)


def test_each_image_has_its_own_best_network_and_labels_may_be_probabilities():
    inputs = inputs_of(images=6)
    hot = torch.nn.functional.one_hot(inputs.labels, 3).double()
    for ensemble in ("naive", "minlogit", "mean"):
        loss = built(KDCL(networks=3, ensemble=ensemble), inputs)
        torch.testing.assert_close(loss(replace(inputs, labels=hot)), loss(inputs))


# The authors' own programs, with their reductions (hjdw2/Exit-Ensemble-Distillation at 146c9cf, hjdw2/BEED at d6af149).


def authors_target(values, *, ensemble):
    z, f = values["logits"], values["features"]
    return (sum(zi / len(z) for zi in z), sum(fi / len(f) for fi in f)) if ensemble else (z[-1], f[-1])


@pytest.mark.parametrize("kind", [EED, FinalTarget])
@pytest.mark.parametrize("output_loss", ["mse", "kl"])
def test_the_defaults_are_the_authors_program(kind, output_loss):
    inputs = inputs_of(exits=4, images=8, classes=7, width=6)
    values = arrays(inputs)
    taught = 4 if kind is EED else 3
    t, tf = authors_target(values, ensemble=kind is EED)
    whole = sum(cross_entropies(z, inputs.labels.numpy()).mean() for z in values["logits"])
    whole += sum(masked(f, tf) for f in values["features"][:taught])
    if output_loss == "mse":
        whole += sum(((z - t) ** 2).mean() for z in values["logits"][:taught])
    else:
        p = softmax(t / 3)
        crossed = [-(p * np.log(softmax(z / 3))).sum(1).mean() for z in values["logits"][:taught]]
        entropy = -(p * np.log(p)).sum(1).mean()
        whole += 0.1 * 9 * (sum(crossed) - taught * entropy)  # theirs is the cross-entropy
    ours = total(built(kind(output_loss=output_loss), inputs)(inputs))
    assert float(ours.detach()) == pytest.approx(whole, rel=1e-12)


def test_beeds_defaults_are_the_authors_program():
    inputs = inputs_of(exits=4, images=8, classes=7, width=6)
    values = arrays(inputs)
    weights = np.array([1, 1.6, 1.6**2, 1.6**3]) / (1 + 1.6 + 1.6**2 + 1.6**3)
    t, tm = (sum(w * o for w, o in zip(weights, values[name], strict=True)) for name in ("logits", "maps"))
    p, whole = softmax(t / 3), 0.0
    for k, z, m in zip((3, 2, 1, 0), values["logits"], values["maps"], strict=True):
        summed = (p * (np.log(p) - np.log(softmax(z / 3)))).sum()
        entropy = cross_entropies(z, inputs.labels.numpy()).mean()
        whole += (2 - 1.15**k) * entropy + 1.15**k * summed * 9 / 8 + 0.1 * ((m - tm) ** 2).mean()
    assert float(total(built(BEED(), inputs)(inputs)).detach()) == pytest.approx(whole, rel=1e-12)


# What holds for all of them.

DISTILLING = [method for method in METHODS if not isinstance(method, DeepSupervision)]
COHORTS = (DML, KDCL)


@pytest.mark.parametrize("method", DISTILLING, ids=repr)
@given(seed=st.integers(0, 99))
@settings(max_examples=5, deadline=None)
def test_exits_that_agree_have_nothing_to_learn_from_each_other(method, seed):
    inputs = inputs_of(seed=seed)
    same = {name: (parts[0],) * EXITS for name, parts in outputs_of(inputs).items()}
    terms = built(method, inputs)(replace(inputs, **same))
    for name in terms.keys() - {"label", "ensemble"}:
        assert float(terms[name].detach()) == pytest.approx(0, abs=1e-13)


@each_method
@given(seed=st.integers(0, 99))
@settings(max_examples=5, deadline=None)
def test_the_order_of_the_images_changes_nothing(method, seed):
    inputs = inputs_of(images=7, seed=seed)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(seed))
    moved = {name: tuple(part[order] for part in parts) for name, parts in outputs_of(inputs).items()}
    permuted = replace(inputs, labels=inputs.labels[order], **moved)
    torch.testing.assert_close(built(method, inputs)(permuted), built(method, inputs)(inputs), rtol=1e-11, atol=1e-13)


@each_method
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_reduced_in_float32(method, dtype):
    inputs = inputs_of(images=32, classes=50, width=64, dtype=dtype)
    in_float32 = {name: tuple(part.detach().float() for part in parts) for name, parts in outputs_of(inputs).items()}
    terms = built(method, inputs)(inputs)
    assert {term.dtype for term in terms.values()} == {torch.float32}
    torch.testing.assert_close(terms, built(method, inputs)(replace(inputs, **in_float32)), rtol=0, atol=0)


@each_method
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_logits_of_ten_thousand_leave_loss_and_gradient_finite(method, dtype):
    inputs = inputs_of(dtype=dtype)
    with torch.no_grad():
        for z in inputs.logits:
            z.copy_(1e4 * z.sign())
    loss = total(built(method, inputs)(inputs))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(z.grad).all() for z in inputs.logits)


SOFTENED = [BYOT, BEED, ONE, Phuong, KDCL, lambda **t: EED(output_loss="kl", **t)]


@pytest.mark.parametrize("kind", SOFTENED)
@given(temperature=st.floats(0.5, 8))
@settings(max_examples=10, deadline=None)
def test_a_divergence_of_logits_t_times_as_large_is_t_squared_times_as_large_at_t(kind, temperature):
    inputs = inputs_of(exits=2)
    hotter = replace(inputs, logits=tuple(temperature * z for z in inputs.logits))
    if kind is KDCL:
        pair = (kind(temperature=temperature, ensemble="minlogit"), kind(temperature=1, ensemble="minlogit"))
    else:
        pair = (kind(temperature=temperature), kind(temperature=1))
    at_t, at_1 = (built(method, i)(i)["output"] for method, i in zip(pair, (hotter, inputs), strict=True))
    torch.testing.assert_close(at_t, temperature**2 * at_1, rtol=1e-6, atol=1e-10)


def test_a_target_gets_no_gradient():
    final = inputs_of()
    for method in (BYOT(), Phuong()):
        grads = torch.autograd.grad(built(method, final)(final)["output"], final.logits, allow_unused=True)
        assert grads[-1] is None
        assert all(grad.abs().sum() > 0 for grad in grads[:-1])
    target = torch.randn(2, 3, requires_grad=True)
    assert not softened_divergence(torch.zeros(2, 3), target.detach(), 2.0).requires_grad


# Settings.


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
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
        (FinalTarget(output_weight=0, feature_weight=0, ramp_up=0.5), FinalTarget(output_weight=0, feature_weight=0)),
        (BYOT(output_weight=0, temperature=9), BYOT(output_weight=0)),
        (ONE(output_weight=0, temperature=9), ONE(output_weight=0)),
        (Phuong(growth=1, confidence_bound=0.9), Phuong(growth=1)),
        (Phuong(output_weight=0, growth=2), Phuong(output_weight=0)),
        (KDCL(output_weight=0, ensemble="mean", temperature=5), KDCL(output_weight=0)),
    ],
)
def test_two_ways_of_writing_a_method_have_one_canonical_form(typed, meant):
    assert typed.canonical() == meant.canonical()
    assert typed.to_dict() == meant.to_dict()
    assert type(typed).from_dict(typed.to_dict()) == typed.canonical()


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        (EED, {"ensemble_exits": "fianl"}, "the nearest is 'final'"),
        (EED, {"taught_exits": "0"}, "no exit '0'"),
        (EED, {"taught_exits": "1,1"}, "named twice"),
        (EED, {"taught_exits": "1,all"}, "no exit 'all'"),
        (EED, {"taught_exits": ""}, "no exit ''"),
        (EED, {"taught_exits": "2", "ensemble_exits": "2"}, "teach itself"),
        (EED, {"ensemble_weights": "bead"}, "'beed'"),
        (EED, {"label_weight": 0}, "0 < label_weight"),
        (EED, {"ramp_up": 1.5}, "0 <= ramp_up <= 1"),
        (BEED, {"balance_base": 0}, "0 < balance_base"),
        (BYOT, {"output_weight": 1.2}, "0 <= output_weight <= 1"),
        (Phuong, {"growth": 0.9}, "1 <= growth"),
        (KDCL, {"ensemble": "min"}, "ensemble"),
        (DML, {"networks": 1}, "2 <= networks"),
    ],
)
def test_settings_outside_their_range_are_refused(kind, values, said):
    with pytest.raises(SpecError, match=said):
        kind(**values)


@pytest.mark.parametrize(
    ("method", "exits", "said"),
    [
        (EED(ensemble_exits="1,4"), 4, "no exit '4', but 1, 2, 3, final"),
        (EED(taught_exits="3"), 3, "no exit '3', but 1, 2, final"),
        (EED(ensemble_exits="2", leave_one_out=True), 4, "nothing is left"),
        (BEED(), 7, "at most 1.122"),
    ],
)
def test_settings_that_do_not_fit_a_network_are_refused_before_it_is_built(method, exits, said):
    with pytest.raises(SpecError, match=said):
        method.check(exits)
    with pytest.raises(SpecError, match=said):
        method.build(NetworkShape(exits=exits, classes=3, width=4))


@each_method
def test_settings_that_fit_a_network_are_accepted(method):
    method.check(EXITS)
    assert method.cohort == isinstance(method, COHORTS)
