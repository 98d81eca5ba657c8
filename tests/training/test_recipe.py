import dataclasses

import numpy as np
import pytest
import torch
from exeunt.specs import SpecError
from exeunt.training import Recipe, recipes
from exeunt.training.augmentation.augmentation import PADDING
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR

lengths = {"epochs": st.integers(1, 30), "steps_per_epoch": st.integers(1, 9), "rate": st.floats(1e-3, 1)}


def schedule(recipe, steps_per_epoch):
    return [recipe.learning_rate_at(step, steps_per_epoch) for step in range(recipe.epochs * steps_per_epoch)]


def scheduled(make_scheduler, rate, steps):
    """Return the learning rate of each step with one of PyTorch's schedulers, which is stepped after every step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    scheduler = make_scheduler(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@given(milestones=st.sets(st.integers(1, 40), max_size=4).map(sorted), decay=st.floats(0.05, 1), **lengths)
def test_multistep_is_pytorchs(epochs, steps_per_epoch, rate, milestones, decay):
    recipe = Recipe(epochs=epochs, learning_rate=rate, milestones=tuple(milestones), decay=decay)
    in_steps = [milestone * steps_per_epoch for milestone in milestones]
    expected = scheduled(lambda o: MultiStepLR(o, in_steps, decay), rate, epochs * steps_per_epoch)
    assert schedule(recipe, steps_per_epoch) == pytest.approx(expected, rel=1e-9)


@given(**lengths)
def test_cosine_is_pytorchs_with_every_step(epochs, steps_per_epoch, rate):
    recipe = Recipe(epochs=epochs, learning_rate=rate, schedule="cosine")
    steps = epochs * steps_per_epoch
    expected = scheduled(lambda o: CosineAnnealingLR(o, T_max=steps), rate, steps)
    assert schedule(recipe, steps_per_epoch) == pytest.approx(expected, rel=1e-6)


@given(**lengths)
def test_one_cycle_rises_over_three_tenths_of_the_steps_and_falls_to_zero_after_the_last(epochs, steps_per_epoch, rate):
    recipe = Recipe(epochs=epochs, learning_rate=rate, schedule="one_cycle")
    steps = epochs * steps_per_epoch
    corners = [-1, 0.3 * steps - 1, 0.3 * steps, steps]
    expected = np.interp(np.arange(steps), corners, [0, rate, rate, 0])
    assert schedule(recipe, steps_per_epoch) == pytest.approx(expected.tolist(), rel=1e-9)


def test_the_papers_recipe_is_the_authors():
    """The values are those of their program (hjdw2/Exit-Ensemble-Distillation, 146c9cf), except for precision."""
    of_data_py = {
        "crop": "pad",  # RandomCrop(32, 4)
        "flip": True,
        **{"policy": "none", "cutout": 0, "mixup": 0, "cutmix": 0},
    }
    of_train_py = {
        **{"epochs": 200, "batch_size": 128, "accumulation": 1},
        **{"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": False},
        **{"weight_decay": 5e-4, "decay_norms": True, "gradient_clip": 0, "ema_decay": 0},
        **{"schedule": "multistep", "milestones": (75, 130, 180), "decay": 0.1, "warmup_epochs": 0},
    }
    of_the_device = {"sync_batch_norm", "precision", "compile", "deterministic", "evaluate_every"}
    settings = dataclasses.asdict(recipes["paper"])
    assert {name: value for name, value in settings.items() if name not in of_the_device} == of_data_py | of_train_py
    assert PADDING == 4
    rates = schedule(recipes["paper"], 1)
    drops = {75: 0.01, 130: 0.001, 180: 0.0001}
    assert rates[0] == 0.1
    assert {epoch: rates[epoch] for epoch in range(1, 200) if rates[epoch] != rates[epoch - 1]} == pytest.approx(drops)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"epochs": 0}, "1 <= epochs"),
        ({"batch_size": 1}, "2 <= batch_size"),
        ({"learning_rate": 0}, "0 < learning_rate"),
        ({"momentum": 1.5}, "0 <= momentum <= 1"),
        ({"weight_decay": -5e-4}, "0 <= weight_decay"),
        ({"schedule": "cosin"}, "unknown schedule 'cosin'; the nearest is 'cosine'"),
        ({"milestones": (10, 10)}, "ascending"),
        ({"milestones": (20, 10)}, "ascending"),
        ({"milestones": (0, 10)}, "0 < milestones"),
        ({"nesterov": True, "momentum": 0}, "momentum > 0 with nesterov"),
        ({"milestones": (1.5,)}, "whole numbers"),
        ({"crop": "padded"}, "the nearest is 'pad'"),
        ({"policy": "autoaugment"}, "'auto_augment'"),
        ({"optimizer": "adam"}, "'adamw'"),
        ({"ema_decay": 1.0}, "ema_decay <= 0.999999"),
        ({"accumulation": 100}, "batch_size >= 2 \\* accumulation"),
        ({"precision": "fp16"}, "'fp32'"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused(fields, said):
    with pytest.raises(SpecError, match=said) as refusal:
        Recipe(**fields)
    assert refusal.value.field in fields


@given(warmup=st.floats(0.1, 5), **lengths)
def test_warm_up_rises_linearly_to_the_schedule(epochs, steps_per_epoch, rate, warmup):
    plain = Recipe(epochs=epochs, learning_rate=rate, schedule="cosine")
    warm = Recipe(epochs=epochs, learning_rate=rate, schedule="cosine", warmup_epochs=warmup)
    factors = np.minimum(1, np.arange(1, epochs * steps_per_epoch + 1) / (warmup * steps_per_epoch))
    expected = factors * schedule(plain, steps_per_epoch)
    assert schedule(warm, steps_per_epoch) == pytest.approx(expected.tolist(), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(
    ("fields", "unread"),
    [
        ({"optimizer": "adamw"}, {"momentum": 0.5}),
        ({"weight_decay": 0.0}, {"decay_norms": False}),
        ({"schedule": "one_cycle"}, {"warmup_epochs": 3.0}),
    ],
)
def test_what_nothing_reads_does_not_tell_recipes_apart(fields, unread):
    assert Recipe(**fields, **unread).canonical() == Recipe(**fields)
    assert Recipe(**unread).canonical() != Recipe()


def test_what_only_multistep_reads_is_irrelevant_under_another_schedule():
    cosine = Recipe(schedule="cosine", milestones=(3,), decay=0.5)
    assert cosine.canonical() == Recipe(schedule="cosine")
    assert {"milestones", "decay"}.isdisjoint(cosine.to_dict())
    assert Recipe(milestones=(3,), decay=0.5).canonical() == Recipe(milestones=(3,), decay=0.5)
