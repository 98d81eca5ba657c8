import pytest
import torch
from exeunt.models import ArchitectureSpec, ExitSpec, architecture_layout, architectures, build_network, timm_models
from exeunt.specs import SpecError
from torch.nn import functional as F

SMALLEST = [
    "test_resnet",
    "test_convnext",
    "test_efficientnet",
    *(
        pytest.param(name, marks=pytest.mark.nightly)
        for name in (
            "seresnet18",
            "resnet18d",
            "convnextv2_atto",
            "regnety_002",
            "mobilenetv2_035",
            "tf_efficientnetv2_b0",
        )
    ),
]


@pytest.fixture
def timm():
    return pytest.importorskip("timm", reason="needs the extra timm")


def build(name, placement="none", *, channels=3, classes=10, seed=0):
    return build_network(
        ArchitectureSpec(name=f"timm/{name}"),
        ExitSpec(placement=placement),
        image_shape=(channels, 64, 64),
        classes=classes,
        seed=seed,
    )


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", SMALLEST)
def test_from_the_same_seed_the_logits_are_those_of_timms_network(timm, name, channels):
    trunk = build(name, channels=channels).trunk.eval()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm.create_model(name, in_chans=channels, num_classes=10).eval()
    images = torch.randn(2, channels, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(trunk(images), network(images))
    assert sum(map(torch.numel, trunk.parameters())) == sum(map(torch.numel, network.parameters()))


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
@pytest.mark.usefixtures("timm")
def test_with_exits_one_step_reaches_every_parameter(name):
    network = build(name, "all").train()
    outputs = network(torch.randn(4, 3, 64, 64))
    sum(F.cross_entropy(logits, torch.tensor([0, 1, 2, 3])) for logits in outputs.logits).backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize("name", SMALLEST)
@pytest.mark.usefixtures("timm")
def test_the_layout_is_found_without_weights(name):
    assert len(architecture_layout(f"timm/{name}", (3, 224, 224), 1000).stages) in (4, 5)


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet19", "unknown architecture 'timm/resnet19'; the nearest is 'timm/resnet18'"),
        ("resnet10t:pretrain", "unknown architecture 'timm/resnet10t:pretrain'; the nearest is .*:pretrained'"),
        ("efficientnet_b8:pretrained", "timm has no pretrained weights for efficientnet_b8; use timm/efficientnet_b8"),
    ],
)
def test_other_networks_are_refused_with_the_reason(name, message):
    assert f"timm/{name}" not in architectures
    with pytest.raises(SpecError, match=message):
        ArchitectureSpec(name=f"timm/{name}")


def test_without_timm_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(timm_models, "find_spec", lambda _name: None)
    with pytest.raises(SpecError, match=r"timm/resnet18 needs timm: pip install 'exeunt\[timm\]'"):
        ArchitectureSpec(name="timm/resnet18")


def test_pretrained_weights_are_timms_and_a_new_last_layer_is_the_seeds(timm, tmp_path, monkeypatch):
    trained = timm.create_model("test_resnet", num_classes=1000).eval()
    torch.save(trained.state_dict(), tmp_path / "pytorch_model.bin")
    hub = "timm.models._hub.hf_hub_download"
    architecture_layout("timm/test_resnet:pretrained", (3, 64, 64), 1000)  # sends no request to the hub
    monkeypatch.setattr(hub, lambda *_arguments, filename, **_settings: str(_downloaded(tmp_path, filename)))
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(build("test_resnet:pretrained", classes=1000).trunk.eval()(images), trained(images))
    first, second = (build("test_resnet:pretrained", classes=7, seed=seed).trunk.state_dict() for seed in (0, 1))
    differing = {name for name, weight in first.items() if not weight.equal(second[name])}
    assert differing <= {"classifier.weight", "classifier.bias"}
    assert "classifier.weight" in differing


def _downloaded(folder, filename):
    from huggingface_hub.errors import EntryNotFoundError

    if not (folder / filename).exists():
        raise EntryNotFoundError(filename)
    return folder / filename
