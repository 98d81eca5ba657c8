import json
from dataclasses import replace

import pytest
from exeunt.losses import CSKD, EED, KD, PSKD, Baseline, FinalTarget, TfKDSelf
from exeunt.models import ArchitectureSpec, ExitSpec
from exeunt.specs import SpecError
from exeunt.training import TrialSpec
from exeunt.training.trial import TrainedWeights


def with_recipe(trial, **fields):
    return replace(trial, recipe=replace(trial.recipe, **fields))


@pytest.fixture
def eed(make_trial):
    return make_trial(EED(), exits="all")


@pytest.fixture
def kd(make_trial):
    return make_trial(KD(), teacher=make_trial(architecture="resnet14"))


def trained(architecture="resnet14", sha256="0" * 64, path=""):
    return TrainedWeights(architecture=ArchitectureSpec(name=architecture), sha256=sha256, path=path)


def test_two_ways_of_writing_one_experiment_are_one_trial(make_trial, eed, kd):
    softened = EED(output_loss="kl", temperature=2, output_weight=0.1)

    def in_resnet14(exits):
        return make_trial(EED(), exits=exits, architecture="resnet14")

    same = {
        "stages and all": (make_trial(EED(), exits="1,2"), eed),
        "stages in another order": (make_trial(EED(), exits=" 2,1 "), eed),
        "a block and its stage": (in_resnet14("block2"), in_resnet14("1")),
        "a temperature under mse": (make_trial(EED(temperature=7), exits="all"), eed),
        "an integer for a real number": (make_trial(EED(feature_weight=1), exits="all"), eed),
        "the authors' weight": (
            make_trial(EED(output_loss="kl", temperature=2.0), exits="all"),
            make_trial(softened, exits="all"),
        ),
        "exits of a baseline": (make_trial(exits="all"), make_trial()),
        "a teacher of a baseline": (make_trial(teacher=make_trial(architecture="resnet14")), make_trial()),
        "exits of a baseline teacher": (replace(kd, teacher=replace(kd.teacher, exits=ExitSpec(placement="1"))), kd),
        "a teacher's weights in another place": (
            replace(kd, teacher=trained(path="/weights.pt")),
            replace(kd, teacher=trained()),
        ),
        "head without exits": (replace(kd, exits=ExitSpec(placement="none", head="conv")), kd),
        "milestones without multistep": (
            make_trial(schedule="cosine", milestones=(1,)),
            make_trial(schedule="cosine", decay=0.5),
        ),
    }
    different_keys = [name for name, (typed, meant) in same.items() if typed.key != meant.key]
    different_forms = [name for name, (typed, meant) in same.items() if typed.canonical() != meant.canonical()]
    assert (different_keys, different_forms) == ([], [])


def test_every_field_that_matters_is_in_the_key(make_trial, eed, kd):
    trials = [
        make_trial(),
        make_trial(seed=1),
        make_trial(architecture="resnet14"),
        eed,
        replace(eed, exits=ExitSpec(placement="1")),
        replace(eed, exits=ExitSpec(placement="2")),
        make_trial(FinalTarget(), exits="all"),
        make_trial(EED(output_loss="kl"), exits="all"),
        make_trial(EED(output_loss="kl", temperature=5), exits="all"),
        make_trial(EED(feature_weight=0), exits="all"),
        make_trial(EED(output_weight=0.5), exits="all"),
        kd,
        replace(kd, exits=ExitSpec(placement="1")),
        replace(kd, teacher=replace(kd.teacher, seed=1)),
        replace(kd, teacher=make_trial()),
        replace(kd, method=KD(weight=0.5)),
        replace(make_trial(), protocol="paper"),
        replace(make_trial(), validation=0.1),
        replace(make_trial(), protocol="tuning", validation=0.1),
        replace(kd, teacher=trained()),
        replace(kd, teacher=trained("resnet8")),
        replace(kd, teacher=trained(sha256="1" * 64)),
        *(
            with_recipe(make_trial(), **fields)
            for fields in (
                {"epochs": 3},
                {"batch_size": 128},
                {"learning_rate": 0.2},
                {"momentum": 0.8},
                {"nesterov": True},
                {"weight_decay": 0.0},
                {"schedule": "cosine"},
                {"schedule": "one_cycle"},
                {"milestones": (1,)},
                {"decay": 0.5},
                {"crop": "none"},
                {"flip": False},
                {"policy": "trivial_augment"},
                {"cutout": 2},
                {"mixup": 0.2},
                {"cutmix": 0.2},
                {"optimizer": "adamw"},
                {"decay_norms": False},
                {"gradient_clip": 1.0},
                {"ema_decay": 0.9},
                {"warmup_epochs": 1.0},
                {"accumulation": 2},
                {"sync_batch_norm": True},
                {"compile": "on"},
                {"precision": "bf16"},
            )
        ),
    ]
    assert len({trial.key for trial in trials}) == len(trials)


def test_a_trial_survives_being_written_as_json_and_read_again(make_trial, eed, kd):
    trials = [
        make_trial(schedule="one_cycle", nesterov=True),
        eed,
        make_trial(FinalTarget(output_loss="kl", temperature=2), exits="block1", seed=2**32 - 1),
        kd,
        make_trial(KD(), exits="1", teacher=kd),
        replace(kd, teacher=trained(path="/weights.pt")),
        make_trial(EED(output_weight=0, output_loss="kl"), exits="all"),
    ]
    for trial in trials:
        read = TrialSpec.from_dict(json.loads(json.dumps(trial.canonical().to_dict())))
        assert read == trial.canonical()
        assert read.key == trial.key


def test_the_dictionary_names_everything_that_matters_and_nothing_else(make_trial):
    trial = make_trial(EED(feature_weight=0), exits="1,2", seed=3, schedule="cosine")
    written = trial.canonical().to_dict()
    method = written.pop("method")
    assert method.items() >= {"name": "eed", "output_loss": "mse", "output_weight": 1.0, "feature_weight": 0.0}.items()
    assert "temperature" not in method
    assert written == {
        "dataset": {"name": "digits"},
        "architecture": {"name": "resnet8"},
        "exits": {"placement": "all", "head": "conv"},
        "recipe": {
            "epochs": 2,
            "batch_size": 256,
            "learning_rate": 0.1,
            "momentum": 0.9,
            "nesterov": False,
            "weight_decay": 5e-4,
            "schedule": "cosine",
            "optimizer": "sgd",
            "accumulation": 1,
            "decay_norms": True,
            "gradient_clip": 0.0,
            "ema_decay": 0.0,
            "warmup_epochs": 0.0,
            "crop": "pad",
            "flip": True,
            "policy": "none",
            "cutout": 0,
            "mixup": 0.0,
            "cutmix": 0.0,
            "sync_batch_norm": False,
            "precision": "fp32",
            "compile": "off",
        },
        "seed": 3,
        "protocol": "final",
        "validation": 0.0,
    }


@pytest.mark.parametrize(
    ("parts", "field", "said"),
    [
        ({"method": EED()}, "exits", "eed trains exits, but the placement is 'none'"),
        ({"method": KD()}, "teacher", "kd needs a teacher"),
        ({"method": EED(), "exits": "3"}, "placement", "stages 1 to 2"),
        ({"method": Baseline(), "exits": "3"}, "placement", "stages 1 to 2"),
        ({"method": TfKDSelf(), "teacher": trained()}, "teacher", "the teacher of tf_kd_self must have its student's"),
        ({"method": PSKD(), "mixup": 0.1}, "recipe", "ps_kd needs unmixed labels"),
        ({"method": CSKD(), "cutmix": 0.1}, "recipe", "cs_kd needs unmixed labels"),
        ({"seed": -1}, "seed", "0 <= seed"),
        ({"seed": 2**32}, "seed", "0 <= seed <= 4294967295"),
        ({"seed": 1.5}, "seed", "seed=1.5"),
    ],
)
def test_a_trial_whose_parts_do_not_fit_is_refused_with_the_field(make_trial, parts, field, said):
    with pytest.raises(SpecError) as refusal:
        make_trial(**parts)
    assert refusal.value.field == field
    assert said in str(refusal.value)


def test_tuning_needs_images_to_tune_on(make_trial):
    with pytest.raises(SpecError, match="validation > 0 with protocol tuning"):
        replace(make_trial(), protocol="tuning")


def test_a_placement_is_checked_against_the_architecture_at_hand(make_trial):
    deep = make_trial(EED(), exits="block8", architecture="resnet20")
    with pytest.raises(SpecError, match="block1 to block2"):
        replace(deep, architecture=ArchitectureSpec(name="resnet8"))


@pytest.mark.parametrize("sha256", ["", "0" * 63, "0" * 65, "A" * 64, "0" * 63 + "\n"])
def test_the_hash_of_trained_weights_has_one_form(sha256):
    with pytest.raises(SpecError, match=r"sha256 (is 64 hexadecimal digits|must be printable text)"):
        trained(sha256=sha256)
