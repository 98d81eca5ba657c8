"""Files with the weights of a network, as people save them.

Read are `.safetensors` files and files of `torch.save`. The weights may be in a dictionary beside other values, and
their names may have a prefix, such as that of `DataParallel`, Lightning or `torch.compile`.
"""

import argparse
import io
import pickle
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models import MultiExitNetwork, refuse_other_weights
from ..specs import SpecError
from ..specs.text import one_line

LARGEST_BYTES = 8 * 2**30
"""Size of the largest file that is read."""
WRAPPERS = (
    *("state_dict", "model_state_dict", "model_state", "model", "network", "net", "weights", "params"),
    *("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema"),
)
"""Keys under which programs keep weights, in the order in which they are preferred."""
IGNORED = ("total_ops", "total_params")
"""Ends of names that programs which count operations leave among the weights."""
TRUNK = "trunk."
"""Beginning of the names of a backbone's weights in a `MultiExitNetwork`."""
COUNTER = ".num_batches_tracked"
"""End of the names of counters, which PyTorch before 0.4.1 did not have."""


@dataclass(frozen=True, kw_only=True)
class FoundWeights:
    """Weights of a file, under the names of the network."""

    state: dict[str, Tensor]
    taken: tuple[str, ...]
    """Steps with which they were taken from the file, such as `key 'model'` or `prefix 'module.' removed`."""


def read_content(path: Path) -> bytes:
    """Return the content of a file with weights.

    Raises:
        SpecError: if it is no regular file, is larger than `LARGEST_BYTES`, or cannot be read.
    """
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise SpecError(f"the weights {path} are not a regular file.", field="teacher")
        if facts.st_size > LARGEST_BYTES:
            size = f"{facts.st_size / 2**30:.0f} GiB (maximum {LARGEST_BYTES / 2**30:.0f} GiB)"
            raise SpecError(f"the weights {path} have {size}; save only the weights of the network.", field="teacher")
        return path.read_bytes()
    except OSError as error:
        raise SpecError(f"the weights {path} cannot be read: {error.strerror}.", field="teacher") from error
    except MemoryError as error:
        message = f"the weights {path} do not fit into the memory; save only the weights of the network"
        raise SpecError(f"{message}.", field="teacher") from error


def fitted(path: Path, content: bytes, network: MultiExitNetwork) -> FoundWeights:
    """Return the weights in a file's content for a network. Weights of exits are left out.

    Args:
        path: Path of the file, for its suffix and for messages.
        content: Content of the file.
        network: Network without exits. The names in the file are its own, or those of the network it was made from.

    Raises:
        SpecError: if the content cannot be read, or has the weights of another network, or weights that are not finite.
    """
    content_of_file = _read(path, content)
    candidates = dict(_candidates(content_of_file))
    if not candidates:
        what = f"a {type(content_of_file).__name__}"
        if isinstance(content_of_file, dict):
            what = f"the keys {', '.join(map(repr, [*content_of_file][:8]))}"
        message = f"{path} holds no weights but {what}; save network.state_dict() in it"
        raise SpecError(f"{message}.", field="teacher")
    expected = network.state_dict()
    namings = ({name: name for name in expected}, _original_names(network))
    for key, state in candidates.items():
        for names in namings:
            if (found := _under(names, state)) is not None:
                _refuse(path, expected, found.state)
                return replace(found, taken=(*_said(key, candidates), *found.taken))
    state = next(iter(candidates.values()))
    nearest = max(namings, key=lambda names: len(state.keys() & set(names.values())))
    _refuse(path, {nearest[name]: tensor for name, tensor in expected.items()}, state)
    raise AssertionError(path)  # other names are refused


def _original_names(network: MultiExitNetwork) -> dict[str, str]:
    """Return the names of the weights in the network that the backbone was made from, by their names here."""
    original = network.trunk.original_names
    names = (name.removeprefix(TRUNK) for name in network.state_dict())
    return {f"{TRUNK}{name}": original.get(name, name) for name in names}


def _said(key: str, candidates: Mapping[str, Any]) -> Iterator[str]:
    if not key:
        return
    yield f"key {key!r}"
    if others := [other for other in candidates if other != key]:
        yield f"for {others[0]!r} instead, save it alone with torch.save(torch.load(FILE)[{others[0]!r}], NEW)"


def _read(path: Path, content: bytes) -> Any:
    """Return what a file contains."""
    if path.suffix == ".safetensors":
        try:
            from safetensors import SafetensorError  # noqa: PLC0415 (an optional package)
            from safetensors.torch import load  # noqa: PLC0415
        except ImportError as error:
            install = "pip install 'exeunt[export]'"
            raise SpecError(f"{path} needs safetensors; install it with: {install}.", field="teacher") from error
        try:
            return load(content)
        except SafetensorError as error:
            message = f"{path} is no complete .safetensors file ({one_line(str(error))}); copy or write it again"
            raise SpecError(f"{message}.", field="teacher") from error
    try:
        with torch.serialization.safe_globals([argparse.Namespace, *_numbers_of_numpy()]):
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if match := re.search(r"(?:GLOBAL|global) ([\w.]+)", str(error)):
            what = f"{path} holds {match[1]}, which reading would run as code"
            fix = "save only the weights: torch.save(network.state_dict(), FILE)"
            raise SpecError(f"{what}; {fix}.", field="teacher") from error
        raise _unreadable(path) from error
    except (RuntimeError, ValueError, EOFError, LookupError, TypeError, AttributeError) as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> SpecError:
    reason = "neither a state_dict of tensors written by torch.save nor a .safetensors file"
    return SpecError(f"{path} is {reason}; save the network in one of these formats.", field="teacher")


def _numbers_of_numpy() -> list[Any]:
    """Return what numbers of NumPy in a file consist of, such as the best accuracy."""
    kinds = [np.float64, np.float32, np.int64, np.int32, np.bool_]
    return [np.dtype, np.ndarray, np.float64().__reduce__()[0], *{type(np.dtype(kind)) for kind in kinds}]


def _candidates(content: Any) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Iterate over the dictionaries of tensors in a file's content, each with its key; the preferred one is first."""
    if not isinstance(content, dict):
        return
    if state := _tensors(content):
        yield "", state
        return
    for key in sorted(content, key=lambda key: WRAPPERS.index(key) if key in WRAPPERS else len(WRAPPERS)):
        if isinstance(content[key], Mapping) and (state := _tensors(content[key])):
            yield str(key), state


def _tensors(content: Mapping[Any, Any]) -> dict[str, Tensor]:
    """Return the entries if all are tensors with names, except those that only count operations; otherwise none."""
    kept = {name: value for name, value in content.items() if not str(name).endswith(IGNORED)}
    is_state = all(isinstance(name, str) and isinstance(value, Tensor) for name, value in kept.items())
    return kept if is_state else {}


def _under(names: Mapping[str, str], state: Mapping[str, Tensor]) -> FoundWeights | None:
    """Return the weights with these names in a file, by their names here; None if the file lacks any.

    Args:
        names: Names in the file, by those in the network.
        state: Weights in the file, under names that may have a prefix.
    """
    first = next(name for name in names.values() if not name.endswith(COUNTER))
    prefixes = {name[: -len(first)] for name in state if name == first or name.endswith(f".{first}")}
    for prefix in sorted(prefixes - {TRUNK}, key=len):
        inside = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        inside = {name: value for name, value in inside.items() if not name.startswith("exits.")}
        missing = set(names.values()) - set(inside)
        counters = {name for name in names.values() if name.endswith(COUNTER)}
        if set(inside) <= set(names.values()) and missing in (set(), counters):
            taken = [f"prefix {prefix!r} removed"] if prefix else []
            if missing:
                taken.append("counters of batches set to 0")
            zero = torch.zeros((), dtype=torch.long)
            return FoundWeights(state={own: inside.get(name, zero) for own, name in names.items()}, taken=tuple(taken))
    return None


def _refuse(path: Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Raise `SpecError` for the weights of another network, and for values that are not finite."""
    try:
        refuse_other_weights(expected, found)
    except SpecError as error:
        raise SpecError(f"{path}: {error}", field="teacher") from error
    for name, tensor in found.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            message = f"{path}: {name} has values that are not finite (NaN or infinity); use a checkpoint before them"
            raise SpecError(f"{message}.", field="teacher")
