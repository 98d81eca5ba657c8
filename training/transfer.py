"""Copies of tensors from the CPU to the device that trains, for which neither waits."""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

_ALIGNMENT = 16  # bytes, a multiple of the size of every element


def to_device(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Return copies of CPU tensors on the device, made by one transfer from pinned memory."""
    if device.type != "cuda" or not tensors:
        return [tensor.to(device) for tensor in tensors]
    rows = [tensor.contiguous().view(-1).view(torch.uint8) for tensor in tensors]
    padded = [F.pad(row, (0, -len(row) % _ALIGNMENT)) for row in rows]
    starts = itertools.accumulate(map(len, padded), initial=0)
    there = torch.cat(padded).pin_memory().to(device, non_blocking=True)
    return [
        there[start : start + len(row)].view(tensor.dtype).view(tensor.shape)
        for start, row, tensor in zip(starts, rows, tensors, strict=False)
    ]
