import hashlib
import json
from dataclasses import replace

import pytest
from exeunt.losses import EED, KD, methods
from exeunt.models import ArchitectureSpec, ExitSpec
from exeunt.specs import SpecError, configuration_id, trial_key
from exeunt.training import DatasetSpec, Recipe, TrialSpec, recipes
from exeunt.training.trial import TrainedWeights
from hypothesis import given
from hypothesis import strategies as st

PLACEMENTS = ["all", "1", "2", " 2,1 ", "block1", "40%"]


def by_definition(trial):
    content = trial.canonical().to_dict()
    seed = content.pop("seed")
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return f"{hashlib.sha256(text.encode()).hexdigest()[:16]}-s{seed}"


@st.composite
def trials(draw, taught=True):
    method = methods[draw(st.sampled_from(sorted(methods)))]
    teacher = None
    if method.teacher != "ignored" and taught:
        weights = TrainedWeights(architecture=ArchitectureSpec(name="resnet8"), sha256="5" * 64, path="/w.pt")
        teacher = draw(st.just(weights) | trials(taught=False))
    elif method.teacher != "ignored":
        method = methods["baseline"]
    return TrialSpec(
        dataset=DatasetSpec(name=teacher.dataset.name if isinstance(teacher, TrialSpec) else "digits"),
        architecture=ArchitectureSpec(name="resnet8"),
        method=method(),
        exits=ExitSpec(
            placement=draw(st.sampled_from(PLACEMENTS)) if method.exits == "required" else "none",
            head=draw(st.sampled_from(["conv", "mlp"])),
        ),
        recipe=draw(st.sampled_from([recipes[name] for name in recipes] + [Recipe(schedule="cosine", decay=0.3)])),
        seed=draw(st.integers(0, 2**32 - 1)),
        teacher=teacher,
        validation=draw(st.sampled_from([0.0, 0.1])),
    )


@given(trial=trials(), seeds=st.lists(st.integers(0, 2**32 - 1), max_size=3))
def test_keys_are_those_of_the_canonical_json_however_they_were_put_together(trial, seeds):
    assert trial.key == by_definition(trial)
    assert trial.canonical().key == trial.key
    assert trial_key(trial.canonical().to_dict()) == trial.key
    assert configuration_id(trial.canonical().to_dict()) == trial.configuration == trial.key.rpartition("-s")[0]
    for seed, other in zip(seeds, trial.with_seeds(seeds), strict=True):
        assert other == replace(trial, seed=seed)
        assert other.key == by_definition(replace(trial, seed=seed)) == by_definition(other)
        assert other.canonical() == replace(trial, seed=seed).canonical()
        assert other.configuration == trial.configuration


def test_a_trial_with_another_seed_keeps_nothing_of_the_first_ones(make_trial):
    first = make_trial(KD(), teacher=make_trial(architecture="resnet14"))
    keys = {first.key, first.canonical().key, first.text}
    (other,) = first.with_seeds([first.seed + 1])
    assert other.key not in keys
    assert other.text not in keys
    assert replace(other, method=EED(), exits=ExitSpec(placement="1")).key == by_definition(
        replace(first, method=EED(), exits=ExitSpec(placement="1"), seed=first.seed + 1)
    )


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, True, "1"])
def test_seeds_are_checked_like_those_of_any_trial(make_trial, seed):
    with pytest.raises(SpecError, match="`0 <= seed <= 4294967295` must hold, but got seed="):
        list(make_trial().with_seeds([0, seed]))
