import time

import pytest
import torch
from exeunt.models import ArchitectureSpec, ExitSpec, architecture_layout, architectures, build_network, parameters
from exeunt.models.torchvision_models import PREFIX
from exeunt.specs import SpecError
from torch.nn import functional as F
from torchvision import models

FAMILIES = ("convnext_tiny", "densenet121", "mobilenet_v3_small", "resnet18", "shufflenet_v2_x0_5")
"""Small networks whose blocks differ most."""
OTHERS = (
    "efficientnet_b0",
    "efficientnet_v2_s",
    "mnasnet0_5",
    "mobilenet_v2",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "resnext50_32x4d",
    "vgg11",
    "vgg11_bn",
    "wide_resnet50_2",
)
SMALL = [*FAMILIES, *(pytest.param(name, marks=pytest.mark.nightly) for name in OTHERS)]
CLASSIFIERS = models.list_models(module=models)
AUXILIARY = {"googlenet", "inception_v3"}
"""Networks that are built without their auxiliary classifiers, which count as parameters there."""


def build(name, placement="none", *, channels=3, classes=10, size=64, seed=0):
    return build_network(
        ArchitectureSpec(name=f"torchvision/{name}"),
        ExitSpec(placement=placement),
        image_shape=(channels, size, size),
        classes=classes,
        seed=seed,
    )


def theirs(name, *, classes=10, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return models.get_model(name, num_classes=classes).eval()


def backbone_on_meta(name, *, channels=3, classes=1000):
    size = max(224, models.get_model_weights(name).DEFAULT.meta["min_size"][0])
    with torch.device("meta"):
        return architectures[f"torchvision/{name}"](channels=channels, classes=classes, image_size=size)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_from_the_same_seed_the_logits_are_those_of_torchvisions_network(name):
    trunk = build(name).trunk.eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(trunk(images), theirs(name)(images))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_the_logits_are_those_of_torchvisions_network_at_the_size_it_expects(name):
    trunk = build(name, classes=1000, size=224).trunk.eval()
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(trunk(images), theirs(name, classes=1000)(images))


def test_the_logits_are_those_of_torchvisions_network_while_training_too():
    trunk, network = build("resnet18").trunk.train(), theirs("resnet18").train()
    images = torch.randn(4, 3, 64, 64)
    torch.testing.assert_close(trunk(images), network(images))


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_parameters_are_those_that_torchvision_publishes(name):
    assert parameters(backbone_on_meta(name)) == models.get_model_weights(name).DEFAULT.meta["num_params"]


@pytest.mark.nightly
@pytest.mark.parametrize("name", sorted(set(CLASSIFIERS) - {*FAMILIES, *OTHERS} - AUXILIARY))
def test_parameters_are_those_that_torchvision_publishes_for_larger_networks(name):
    assert parameters(backbone_on_meta(name)) == models.get_model_weights(name).DEFAULT.meta["num_params"]


NEW = ("alexnet", "googlenet", "inception_v3", "maxvit_t", "squeezenet1_1", "swin_v2_t", "vit_b_32")
"""Networks of modules that other tests leave out."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in NEW else pytest.mark.nightly) for name in CLASSIFIERS],
)
def test_every_classifier_of_torchvision_has_exits(name):
    layout = architecture_layout(f"{PREFIX}{name}", (3, 224, 224), 10)
    assert len(layout.stages) in (3, 4, 5)
    assert list(layout.cost.after_blocks) == sorted(layout.cost.after_blocks)
    assert layout.cost.after_blocks[0] > 0


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("torchvision/resnet17", "'torchvision/resnet1"),
        ("torchvision/resnet50:pretrain", "'torchvision/resnet50:pretrained'"),
        ("torchvision/fcn_resnet50", "'torchvision/resnet50'"),
        ("torchvison/resnet50", r"'torchvision/\*'"),
    ],
)
def test_unknown_names_list_the_nearest(name, nearest):
    assert name not in architectures
    with pytest.raises(SpecError, match=f"unknown architecture '{name}'; the nearest is .*{nearest}"):
        ArchitectureSpec(name=name)


@pytest.mark.slow
def test_stages_are_the_blocks_of_one_size():
    shapes = {
        "resnet18": [2, 2, 2, 2],
        "vgg11_bn": [1, 1, 2, 2, 2],
        "densenet121": [1, 1, 1, 1],
        "convnext_tiny": [3, 3, 9, 3],
        "shufflenet_v2_x0_5": [4, 8, 4],
        "mobilenet_v2": [1, 2, 3, 7, 4],
    }
    assert {name: [len(stage) for stage in backbone_on_meta(name).stages] for name in shapes} == shapes


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_blocks_have_the_channels_and_strides_that_they_state_down_to_the_smallest_image(name):
    trunk = backbone_on_meta(name).eval()
    assert trunk.smallest_image == 32
    for size in (32, 64, 224):
        hidden = trunk.stem(torch.empty(1, 3, size, size, device="meta"))
        for number in range(1, len(trunk.blocks) + 1):
            block = trunk.block(number)
            side = hidden.shape[2] // block.stride
            hidden = block(hidden)
            assert hidden.shape == (1, block.out_channels, side, side)
        assert trunk.neck(hidden).shape == (1, trunk.width)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "densenet121", "convnext_tiny"])
def test_a_grey_image_gives_what_three_equal_colours_give(name):
    images = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        grey, coloured = build(name, channels=1).trunk.eval(), build(name).trunk.eval()
        torch.testing.assert_close(grey(images), coloured(images.expand(1, 3, 64, 64)), atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_with_exits_one_step_reaches_every_parameter(name):
    network = build(name, "all").train()
    outputs = network(torch.randn(4, 3, 64, 64))
    sum(F.cross_entropy(logits, torch.tensor([0, 1, 2, 3])) for logits in outputs.logits).backward()
    assert len(outputs.logits) == len(network.trunk.stages)
    assert all(features.shape == (4, network.trunk.width) for features in outputs.features)
    unreached = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert unreached == []


def test_exits_after_blocks_that_do_not_normalise_begin_with_normalisation():
    for name, normalised in (("densenet121", False), ("convnext_tiny", False), ("mobilenet_v2", True)):
        assert all(block.activated == normalised for block in backbone_on_meta(name).blocks)


def test_exits_do_not_change_the_trunk_and_the_seed_decides_it():
    alone, with_exits, other = build("mobilenet_v2"), build("mobilenet_v2", "all"), build("mobilenet_v2", seed=1)
    weights = alone.trunk.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in with_exits.trunk.state_dict().items())
    assert not torch.equal(other.trunk.classifier.weight, alone.trunk.classifier.weight)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SMALL, pytest.param("regnet_y_128gf", marks=pytest.mark.nightly)])
def test_the_layout_of_a_network_is_found_without_its_weights(name):
    layout = architecture_layout(f"torchvision/{name}", (3, 224, 224), 1000)
    assert len(layout.stages) in (3, 4, 5)
    assert all(weight.is_meta for weight in backbone_on_meta(name).state_dict().values())


def test_the_layout_of_a_large_network_takes_little_time():
    backbone_on_meta("resnet18")
    start = time.process_time()
    backbone_on_meta("regnet_y_128gf")
    assert time.process_time() - start < 5


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Network whose weights are stored at torchvision's download path for pretrained weights."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    network = theirs("mobilenet_v3_small", classes=1000, seed=7)
    (tmp_path / "checkpoints").mkdir()
    url = models.get_model_weights("mobilenet_v3_small").DEFAULT.url
    torch.save(network.state_dict(), tmp_path / "checkpoints" / url.rpartition("/")[2])
    return network


def test_pretrained_weights_are_torchvisions(trained):
    trunk = build("mobilenet_v3_small:pretrained", classes=1000).trunk.eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(trunk(images), trained(images))


@pytest.mark.slow
def test_with_another_number_of_classes_the_seed_decides_the_last_layer_alone(trained):
    first, second = (build("mobilenet_v3_small:pretrained", "all", classes=7, seed=seed).trunk for seed in (0, 1))
    differing = {name for name, weight in first.state_dict().items() if not weight.equal(second.state_dict()[name])}
    assert differing == {"classifier.weight", "classifier.bias"}
    assert first.classifier.out_features == 7
    assert torch.equal(next(first.stem.parameters()), trained.features[0][0].weight)


def test_a_grey_image_gives_what_three_equal_colours_give_with_pretrained_weights(trained):
    trunk = build("mobilenet_v3_small:pretrained", channels=1, classes=1000).trunk.eval()
    images = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(trunk(images), trained(images.expand(1, 3, 64, 64)), atol=1e-4, rtol=1e-4)


def test_planning_loads_no_weights(monkeypatch):
    def refuse(*_arguments, **_settings):
        raise AssertionError("weights were requested")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    ArchitectureSpec(name="torchvision/shufflenet_v2_x0_5:pretrained")
    layout = architecture_layout("torchvision/shufflenet_v2_x0_5:pretrained", (3, 64, 64), 10)
    assert [len(stage) for stage in layout.stages] == [4, 8, 4]
    with pytest.raises(AssertionError, match="weights were requested"):
        build("shufflenet_v2_x0_5:pretrained")


def test_listing_names_does_not_ask_torchvision():
    assert not any("/" in name for name in architectures)


def test_weights_of_an_older_release_are_read_under_their_names():
    trained, other = build("mobilenet_v2", "all", seed=0), build("mobilenet_v2", "all", seed=1)
    older = {name.replace("trunk.neck.", "trunk.neck.0."): value for name, value in trained.state_dict().items()}
    assert older.keys() != trained.state_dict().keys()
    other.load_state_dict(older)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(other.eval()(images).logits[-1], trained.eval()(images).logits[-1])
    del older["trunk.stem.0.weight"]
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict(older)
