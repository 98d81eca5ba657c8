import contextlib
import os
from contextlib import nullcontext

import pytest
import torch
from exeunt.specs import SpecError
from exeunt.store import TrialFiles
from exeunt.training import Recipe, build_student, environment, train
from exeunt.training.environment import choose_precision, describe_conditions, training_conditions

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def _no_workspace(monkeypatch):
    """Environment without the variable of cuBLAS, which a test may set."""
    monkeypatch.setitem(os.environ, "CUBLAS_WORKSPACE_CONFIG", "")
    del os.environ["CUBLAS_WORKSPACE_CONFIG"]


def settings():
    backends = torch.backends
    return {
        "threads": torch.get_num_threads(),
        "benchmark": backends.cudnn.benchmark,
        "convolutions": backends.cudnn.conv.fp32_precision,
        "products": backends.cuda.matmul.fp32_precision,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "random": torch.get_rng_state().tolist(),
    }


@pytest.mark.parametrize(
    ("recipe", "convolutions", "benchmark"),
    [
        ({"precision": "fp32"}, "ieee", True),
        ({"precision": "auto"}, "ieee", True),
        ({"precision": "tf32"}, "tf32", True),
        ({"deterministic": True}, "ieee", False),
    ],
)
def test_settings_are_those_of_the_recipe_while_it_trains(recipe, convolutions, benchmark):
    before, recipe = settings(), Recipe(**recipe)
    with contextlib.suppress(KeyError), training_conditions(recipe, CPU, threads=3):
        torch.rand(1)
        found = settings()
        raise KeyError
    assert settings() == before
    assert (found["convolutions"], found["products"]) == (convolutions, "ieee")
    assert (found["benchmark"], found["deterministic"], found["threads"]) == (benchmark, recipe.deterministic, 3)


@pytest.mark.usefixtures("_no_workspace")
def test_only_the_generators_of_the_own_device_are_read(monkeypatch):
    forked = []
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: forked.append(devices) or nullcontext())
    for device in (CPU, GPU):
        with training_conditions(Recipe(), device, threads=1):
            pass
    assert forked == [[], [GPU]]


def test_tf32_is_refused_without_a_gpu_that_has_it(monkeypatch):
    for device in (CPU, GPU):
        monkeypatch.setattr(torch.cuda, "is_tf32_supported", lambda: False)
        with pytest.raises(SpecError, match=f"tf32` needs a GPU with TF32, but the device is {device}; use auto or"):
            choose_precision("tf32", device)
    monkeypatch.setattr(torch.cuda, "is_tf32_supported", lambda: True)
    assert choose_precision("tf32", GPU) == "tf32"


@pytest.mark.usefixtures("_no_workspace")
def test_matrix_products_are_deterministic_only_if_cuda_starts_afterwards(monkeypatch):
    environment.prepare_deterministic(CPU)
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with pytest.raises(SpecError, match=r"Set CUBLAS_WORKSPACE_CONFIG=:4096:8 in the environment of the command\."):
        environment.prepare_deterministic(GPU)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    environment.prepare_deterministic(GPU)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@pytest.mark.usefixtures("_no_workspace")
def test_a_deterministic_trial_can_follow_another_one_in_the_same_process(monkeypatch):
    monkeypatch.setattr(torch.random, "fork_rng", lambda **_: contextlib.nullcontext())
    started = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: bool(started))
    with training_conditions(Recipe(), CPU, threads=1):
        assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    for deterministic in (False, True):
        with training_conditions(Recipe(deterministic=deterministic), GPU, threads=1):
            assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
            started.append("CUDA")
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":16:8"  # the user's own choice stays
    with training_conditions(Recipe(deterministic=True), GPU, threads=1):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_an_operator_without_a_deterministic_algorithm_ends_the_trial_with_one_message(
    make_trial, tmp_path, monkeypatch
):
    def put():
        torch.zeros(3).put_(torch.tensor([0, 0]), torch.ones(2))

    def with_scattered_writes(trial):
        network = build_student(trial)
        network.register_forward_pre_hook(lambda *_: put())
        return network

    monkeypatch.setattr("exeunt.training.loop.build_student", with_scattered_writes)
    trial = make_trial(deterministic=True)
    message = rf"impossible for trial {trial.key}: PyTorch has no deterministic put_\. Set `deterministic: false`"
    with pytest.raises(SpecError, match=message):
        train(trial, TrialFiles(tmp_path), device="cpu")
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_deterministic_trial_is_another_one_and_the_default_is_not_written(make_trial):
    assert make_trial(deterministic=True).key != make_trial().key
    assert not {"deterministic", "evaluate_every"} & Recipe().to_dict().keys()
    assert Recipe.from_dict(Recipe(deterministic=True, evaluate_every=3).to_dict()).evaluate_every == 3


def test_the_record_has_the_settings_that_were_in_force():
    with training_conditions(Recipe(precision="tf32"), CPU, threads=1):
        on_gpu = describe_conditions(Recipe(), GPU)
        on_cpu = describe_conditions(Recipe(), CPU)
    assert on_gpu == {"deterministic": False, "compile": "off", "tf32": True, "cudnn_benchmark": True}
    assert on_cpu == {"deterministic": False, "compile": "off"}


def test_the_result_has_the_conditions_of_the_training(make_trial, tmp_path, monkeypatch):
    monkeypatch.setattr("exeunt.training.resource_usage._COUNTERS", tmp_path / "nowhere")
    found = train(make_trial(epochs=1, batch_size=1438), TrialFiles(tmp_path), device="cpu", gpu_share=0.5)[
        "environment"
    ]
    assert found["energy"] == f"{tmp_path / 'nowhere'} has no energy counters of this CPU"
    assert (found["gpu_share"], found["compile"], found["deterministic"], found["precision"]) == (
        0.5,
        "off",
        False,
        "fp32",
    )
    assert (found["threads"], found["processes"]) == (1, 1)
