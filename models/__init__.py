"""Architectures with exits.

>>> from exeunt.models import ArchitectureSpec, ExitSpec, build_network
>>> resnet18, exits = ArchitectureSpec(name="resnet18"), ExitSpec(placement="all")
>>> network = build_network(resnet18, exits, image_shape=(3, 32, 32), classes=100, seed=0)
"""

from . import resnet as resnet  # registers its architectures
from .cost import multiply_adds, parameters
from .heads import heads
from .network import ArchitectureSpec, ExitOutputs, ExitSpec, MultiExitNetwork, build_network
from .placement import Layout, architecture_layout, canonical, resolve
from .trunk import Block, Trunk, architectures

__all__ = [
    "ArchitectureSpec",
    "Block",
    "ExitOutputs",
    "ExitSpec",
    "Layout",
    "MultiExitNetwork",
    "Trunk",
    "architecture_layout",
    "architectures",
    "build_network",
    "canonical",
    "heads",
    "multiply_adds",
    "parameters",
    "resolve",
]
