"""Export of trained networks to files for other programs."""

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
"""Packages that each format requires; they are in the extra `export`."""

SUFFIXES: dict[Format, str] = {"safetensors": ".safetensors", "torch": ".pt2", "onnx": ".onnx"}
"""File name suffix of each format."""

TOLERANCE = 1e-4
"""Largest allowed difference between the exported and the original logits, relative to the largest logit."""


def export_network(network: nn.Module, path: Path | str, format: Format, image_shape: tuple[int, int, int]) -> float:
    """Write a network to a file, after a check that the file gives the same outputs.

    `safetensors` contains only the weights, `torch` a program of `torch.export` (`.pt2`), and `onnx` an ONNX model.
    The batch size of the latter two is dynamic.

    Args:
        network: Network with exits, or a network truncated at one exit.
        path: Path of the file.
        format: Format of the file.
        image_shape: Shape (channels, height, width) of the images.

    Returns:
        Largest difference of any output on random images, relative to the largest output.

    Raises:
        SpecError: if the path has the wrong suffix or cannot be written, if a package is missing, or if the outputs
            differ by more than `TOLERANCE`. No file is written then.
    """
    path, suffix = Path(path), SUFFIXES[format]
    require(path.suffix == suffix, f"path ends in {suffix} for format {format}", path=str(path))
    require(not path.is_dir(), "path is not a directory", path=str(path))
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
                f"the exported outputs differ by {difference:.2g} (maximum {TOLERANCE:g}), so no file was written; "
                "use another format."
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
        tensor.zero_()  # so that the comparison uses the weights of the file
    load_model(again, path, strict=True)
    return _Logits(again)


def _write_program(network: nn.Module, path: Path, images: Tensor) -> Callable[[Tensor], Any]:
    any_count = {0: torch.export.Dim("images", min=1)}
    torch.export.save(torch.export.export(_Logits(network), (images,), dynamic_shapes=(any_count,)), path)
    return torch.export.load(path).module()


def _write_onnx(network: nn.Module, path: Path, images: Tensor) -> Callable[[Tensor], Any]:
    import onnxruntime  # noqa: PLC0415 (an optional package)

    any_count = {0: torch.export.Dim("images", min=1)}
    settings: dict[str, Any] = {"dynamo": True, "dynamic_shapes": (any_count,), "verbose": False}
    try:
        program = torch.onnx.export(_Logits(network), (images,), **settings)
    except torch.onnx.OnnxExporterError as error:
        rule = f"PyTorch {torch.__version__} cannot export this network to ONNX"
        raise SpecError(
            f"{rule}: one of its operators has no translation; use format torch.", field="format"
        ) from error
    assert program is not None
    program.save(str(path), external_data=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: tuple(torch.from_numpy(output) for output in session.run(None, {name: batch.numpy()}))


WRITERS = {"safetensors": _write_weights, "torch": _write_program, "onnx": _write_onnx}


class _Logits(nn.Module):
    """Wrapper that returns only the logits (N, classes), or a tuple of them for a network with exits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.train(network.training)  # the exporter warns about a module in training mode, even if its parts are not

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        outputs = self.network(images)
        return outputs.logits if isinstance(outputs, ExitOutputs) else outputs


def _tuple(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


def _difference(expected: tuple[Tensor, ...], found: tuple[Tensor, ...]) -> float:
    if [output.shape for output in expected] != [output.shape for output in found]:
        return float("inf")
    pairs = zip(expected, found, strict=True)
    smallest = torch.finfo(torch.float32).tiny  # logits are all zero if the classifier's weights are
    return float(
        torch.stack([(one - other).abs().max() / one.abs().max().clamp(smallest) for one, other in pairs]).max()
    )
