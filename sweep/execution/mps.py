"""NVIDIA's Multi-Process Service (MPS), with which processes compute on one GPU at the same time."""

import os
from pathlib import Path

DEFAULT_PIPES = "/tmp/nvidia-mps"


def pipe_directory() -> Path:
    """Return the directory with the pipes of the control daemon on this machine."""
    return Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", DEFAULT_PIPES))


def is_reachable() -> bool:
    """Return True if the control daemon has a pipe here; a container may see no more of it."""
    return (pipe_directory() / "control").exists()
