from dataclasses import replace

import numpy as np
import pytest
import torch
from exeunt.losses import CRD, NetworkShape
from exeunt.specs import SpecError

from .formulas import built, check_gradient, check_terms, cross_entropies, taught_inputs, total

LABELS = torch.tensor([2, 0, 1, 1, 2, 0, 0, 2, 1, 0, 3])
NUMBERS = torch.tensor([7, 1, 3, 10])
METHODS = [
    CRD(negatives=6, embedding_dim=3),
    CRD(negatives=20, embedding_dim=4, temperature=0.5, weight=2, momentum=0.2),
]
each_method = pytest.mark.parametrize("method", METHODS, ids=repr)


def inputs_of(images=4, seed=0):
    return taught_inputs(images=images, classes=4, seed=seed, image_numbers=NUMBERS[:images])


def drawn(method, numbers, seed):
    """Return the negatives of the loss for this seed: places among the images of other classes."""
    torch.manual_seed(seed)
    shares = torch.rand(len(numbers), method.negatives, dtype=torch.float64).numpy()
    labels = LABELS.numpy()
    negatives = []
    for row, number in zip(shares, numbers, strict=True):
        others = sorted((i for i in range(len(labels)) if labels[i] != labels[number]), key=lambda i: (labels[i], i))
        negatives.append([others[int(share * len(others))] for share in row])
    return np.array(negatives)


def unit(rows):
    return rows / np.sqrt((rows**2).sum(axis=-1, keepdims=True))


class Memory:
    """Loss with its memories and constants in NumPy, one step after the other."""

    def __init__(self, loss):
        self.state = {name: value.numpy().copy() for name, value in loss.state_dict().items()}
        self.constants = None

    def embedded(self, outputs, constant):
        pairs = ("student", outputs["features"][0]), ("teacher", constant["teacher_features"][0])
        return [
            unit(features @ self.state[f"{name}_embedding.weight"].T + self.state[f"{name}_embedding.bias"])
            for name, features in pairs
        ]

    def scores(self, method, student, teacher, numbers, negatives):
        for embedded, memory in ((student, "teacher_memory"), (teacher, "student_memory")):
            yield np.array(
                [
                    [np.exp(own @ self.state[memory][j] / method.temperature) for j in (number, *others)]
                    for own, number, others in zip(embedded, numbers, negatives, strict=True)
                ]
            )

    def terms(self, method, now, past, labels, _, seed=5):
        numbers = past["image_numbers"][0]
        negatives = drawn(method, numbers, seed)
        images, noise = len(LABELS), method.negatives / len(LABELS)
        fixed = self.scores(method, *self.embedded(past, past), numbers, negatives)
        constants = self.constants or [images * scores.mean() for scores in fixed]
        contrast = 0.0
        moved = self.scores(method, *self.embedded(now, past), numbers, negatives)
        for scores, constant in zip(moved, constants, strict=True):
            for row in scores / constant:
                contrast -= np.log(row[0] / (row[0] + noise + 1e-7)) / len(numbers)
                contrast -= sum(np.log(noise / (share + noise + 1e-7)) for share in row[1:]) / len(numbers)
        self.newest = constants
        return {"label": cross_entropies(now["logits"][0], labels).mean(), "contrast": method.weight * contrast}

    def step(self, method, outputs):
        self.constants = self.newest
        student, teacher = self.embedded(outputs, outputs)
        for memory, embedded in (("student_memory", student), ("teacher_memory", teacher)):
            for number, own in zip(outputs["image_numbers"][0], embedded, strict=True):
                old = self.state[memory][number]
                self.state[memory][number] = unit(method.momentum * old + (1 - method.momentum) * own)


def seeded(loss, seed=5):
    def call(inputs):
        torch.manual_seed(seed)
        return loss(inputs)

    return call


@each_method
def test_the_terms_are_those_of_the_equations(method):
    inputs = inputs_of()
    loss = built(method, inputs, LABELS)
    check_terms(method, Memory(loss).terms, loss=seeded(loss), inputs=inputs)


@each_method
def test_the_gradient_is_that_of_the_equations_with_constant_targets(method):
    inputs = inputs_of(images=3)
    loss = built(method, inputs, LABELS)
    check_gradient(method, Memory(loss).terms, loss=seeded(loss), inputs=inputs)


@each_method
def test_memories_and_constants_are_those_of_the_steps_before(method):
    loss = built(method, inputs_of(), LABELS)
    memory = Memory(loss)
    for step in range(3):
        inputs = replace(
            inputs_of(seed=step), image_numbers=torch.tensor([[0, 1, 2, 3], [2, 3, 4, 5], [5, 0, 9, 8]][step])
        )
        values = {name: [part.detach().numpy() for part in getattr(inputs, name)] for name in ("logits", "features")}
        values |= {name: [getattr(inputs, name).detach().numpy()] for name in ("teacher_features", "image_numbers")}
        expected = memory.terms(method, values, values, inputs.labels.numpy(), None)
        terms = seeded(loss)(inputs)
        assert {name: float(term.detach()) for name, term in terms.items()} == pytest.approx(expected, rel=1e-10)
        memory.step(method, values)
        for name in ("student_memory", "teacher_memory"):
            np.testing.assert_allclose(loss.state_dict()[name].numpy(), memory.state[name], rtol=1e-12)
        constants = [float(loss.state_dict()[f"{name}_constant"]) for name in ("student", "teacher")]
        assert constants == pytest.approx(memory.constants, rel=1e-12)


def test_an_evaluation_changes_no_memory():
    inputs = inputs_of()
    loss = built(CRD(negatives=4), inputs, LABELS).eval()
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    loss(inputs)
    torch.testing.assert_close(loss.state_dict(), before, rtol=0, atol=0)


def test_all_embeddings_learn():
    inputs = inputs_of()
    loss = built(CRD(negatives=4), inputs, LABELS)
    total(loss(inputs)).backward()
    assert all(weight.grad.abs().sum() > 0 for weight in loss.parameters())


def negatives_of(labels, numbers, count):
    method = CRD(negatives=count)
    shape = NetworkShape(exits=1, classes=4, feature_dim=2, teacher_feature_dim=2, image_labels=labels)
    return method._draw(numbers, method.build_learned(shape))


def test_negatives_are_images_of_other_classes_with_equal_probability():
    torch.manual_seed(0)
    counts = torch.stack([row.bincount(minlength=len(LABELS)) for row in negatives_of(LABELS, NUMBERS, 20_000)])
    others = LABELS[NUMBERS][:, None] != LABELS
    assert not counts[~others].any()
    expected = 20_000 * others / others.sum(dim=1, keepdim=True)
    assert ((counts - expected).abs() <= 5 * expected.sqrt()).all()


def test_images_of_a_single_class_can_be_drawn():
    drawn = negatives_of(torch.full((8,), 3), torch.arange(8), 10)
    assert drawn.min() >= 0
    assert drawn.max() < 8


def test_a_memory_begins_with_vectors_of_norm_1():
    shape = NetworkShape(
        exits=1, classes=4, feature_dim=2, teacher_feature_dim=2, image_labels=torch.zeros(5000, dtype=torch.long)
    )
    learned = CRD().build_learned(shape)
    for name in ("student_memory", "teacher_memory"):
        assert learned[name].shape == (5000, 128)
        assert float(learned[name].square().sum(dim=1).mean()) == pytest.approx(1, rel=0.01)
        assert float(learned[name].abs().max()) == pytest.approx((3 / 128) ** 0.5, rel=0.01)


def test_the_defaults_are_those_of_the_authors():
    """Constants of train_student.py and scripts/run_cifar_distill.sh of RepDistiller b84f547."""
    assert CRD() == CRD(weight=0.8, negatives=16384, temperature=0.07, momentum=0.5, embedding_dim=128)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"weight": -1}, "0 <= weight"),
        ({"negatives": 0}, "1 <= negatives"),
        ({"temperature": 0}, "0 < temperature"),
        ({"momentum": 1.5}, "0 <= momentum <= 1"),
        ({"embedding_dim": 1.5}, "embedding_dim"),
    ],
)
def test_settings_outside_their_range_are_refused(settings, said):
    with pytest.raises(SpecError, match=said):
        CRD(**settings)


def test_without_weight_the_other_settings_have_no_effect():
    typed = CRD(weight=0, negatives=5, temperature=1, momentum=0, embedding_dim=2)
    assert typed.canonical() == CRD(weight=0).canonical()
    assert typed.to_dict() == CRD(weight=0).to_dict()
