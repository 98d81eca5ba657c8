"""Training states and weights as bytes, in PyTorch's format."""

import io
from typing import Any

import torch


def serialized(state: dict[str, Any]) -> memoryview:
    """Return a state of plain values and tensors as the content of a file."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getbuffer()


def deserialized(content: bytes, device: torch.device) -> dict[str, Any]:
    """Return the state in the content of a file, with its tensors on a device. No code in the file is run."""
    return torch.load(io.BytesIO(content), map_location=device, weights_only=True)
