import pytest
import torch
from exeunt.models import SUFFIXES, ArchitectureSpec, ExitSpec, TruncatedNetwork, build_network, export_network
from exeunt.specs import SpecError


@pytest.fixture
def network():
    exits = ExitSpec(placement="all")
    return build_network(ArchitectureSpec(name="resnet8"), exits, image_shape=(1, 8, 8), classes=10, seed=0).eval()


@pytest.mark.slow
@pytest.mark.parametrize("form", SUFFIXES)
@pytest.mark.parametrize("exit_number", [None, 1, 3])
def test_a_file_is_written_once_its_outputs_are_the_networks(network, form, exit_number, tmp_path):
    if form != "torch":
        pytest.importorskip("safetensors" if form == "safetensors" else "onnxruntime")
    part = network if exit_number is None else TruncatedNetwork(network, exit_number)
    path = tmp_path / f"network{SUFFIXES[form]}"
    assert export_network(part, path, form, (1, 8, 8)) < 1e-4
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.slow
def test_a_program_gives_the_networks_logits_for_any_number_of_images(network, tmp_path):
    path = tmp_path / "network.pt2"
    export_network(network, path, "torch", (1, 8, 8))
    images = torch.randn(5, 1, 8, 8)
    with torch.no_grad():
        found, expected = torch.export.load(path).module()(images), network(images).logits
    torch.testing.assert_close(torch.stack(found), torch.stack(expected))


def test_a_path_that_does_not_end_as_its_format_is_refused(network, tmp_path):
    with pytest.raises(SpecError, match=r"path ends in \.onnx for format onnx"):
        export_network(network, tmp_path / "network.pt2", "onnx", (1, 8, 8))
    assert not list(tmp_path.iterdir())
