"""Trained networks as files that other programs read."""

import copy
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..specs import SpecError, require
from .network import ExitOutputs

Format = Literal["safetensors", "torch", "onnx"]

NEEDS: dict[Format, tuple[str, ...]] = {
    "safetensors": ("safetensors",),
    "torch": (),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
}
"""The packages that a format is written and checked with, in the extra `export`."""

SUFFIXES: dict[Format, str] = {"safetensors": ".safetensors", "torch": ".pt2", "onnx": ".onnx"}
"""What a file of each format ends in."""

TOLERANCE = 1e-4
"""How far a written network's logits may be from the original's, relative to the largest of them."""


def export_network(network: nn.Module, path: Path, format: Format, image_shape: tuple[int, int, int]) -> float:
    """Writes a network to a file, once what was written has been read again and gives the same outputs.

    `safetensors` holds the weights alone, `torch` a program of `torch.export` (`.pt2`), `onnx` an ONNX model. In both
    of these the number of images of a call is free.

    Args:
        network: with exits, or truncated at one.
        path: of the file.
        format: of the file.
        image_shape: (channels, height, width) of the images.

    Returns:
        The largest difference of any output on random images, relative to the largest output.

    Raises:
        SpecError: for a path that does not end as the format's files do or cannot be written, if a package is
            missing, or if the file's outputs are not the network's; then nothing is written.
    """
    suffix = SUFFIXES[format]
    require(path.suffix == suffix, f"the path of a {format} file ends in {suffix}", path=str(path))
    require(not path.is_dir(), "the path is no folder", path=str(path))
    if missing := [name for name in NEEDS[format] if find_spec(name) is None]:
        raise SpecError(f"{format} needs {', '.join(missing)}; install them with: pip install 'exeunt[export]'.")
    network = copy.deepcopy(network).cpu().eval()
    images = torch.randn(3, *image_shape, generator=torch.Generator().manual_seed(0))
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        temporary.touch()
    except OSError as error:
        raise SpecError(f"{path} cannot be written: {error.strerror}.", field="path") from None
    try:
        with torch.no_grad():
            written = WRITERS[format](network, temporary, images)
            difference = _difference(_tuple(_Logits(network)(images)), _tuple(written(images)))
        if not difference <= TOLERANCE:
            raise SpecError(
                f"the exported outputs differ by {difference:.2g}, more than {TOLERANCE:g}; nothing written."
            )
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return difference


def _write_weights(network: nn.Module, path: Path, images: Tensor) -> Callable[[Tensor], Any]:
    from safetensors.torch import load_model, save_model  # noqa: PLC0415 (an optional package)

    del images
    save_model(network, str(path))
    again = copy.deepcopy(network)
    for tensor in again.state_dict().values():
        tensor.zero_()  # so that what is compared comes from the file
    load_model(again, path, strict=True)
    return _Logits(again)


def _write_program(network: nn.Module, path: Path, images: Tensor) -> Callable[[Tensor], Any]:
    any_count = {0: torch.export.Dim("images", min=1)}
    torch.export.save(torch.export.export(_Logits(network), (images,), dynamic_shapes=(any_count,)), path)
    return torch.export.load(path).module()


def _write_onnx(network: nn.Module, path: Path, images: Tensor) -> Callable[[Tensor], Any]:
    import onnxruntime  # noqa: PLC0415 (an optional package)

    any_count = {0: torch.export.Dim("images", min=1)}
    program = torch.onnx.export(_Logits(network), (images,), dynamo=True, dynamic_shapes=(any_count,), verbose=False)
    assert program is not None
    program.save(str(path), external_data=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: tuple(torch.from_numpy(output) for output in session.run(None, {name: batch.numpy()}))


WRITERS = {"safetensors": _write_weights, "torch": _write_program, "onnx": _write_onnx}


class _Logits(nn.Module):
    """Leaves the features out: logits (N, classes), of a network with exits one for each."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.train(network.training)  # the exporter warns of a module in training mode, whatever its parts are in

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        outputs = self.network(images)
        return outputs.logits if isinstance(outputs, ExitOutputs) else outputs


def _tuple(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


def _difference(expected: tuple[Tensor, ...], found: tuple[Tensor, ...]) -> float:
    if [output.shape for output in expected] != [output.shape for output in found]:
        return float("inf")
    pairs = zip(expected, found, strict=True)
    return float(torch.stack([(one - other).abs().max() / one.abs().max() for one, other in pairs]).max())
