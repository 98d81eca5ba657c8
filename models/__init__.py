"""Architectures with exits.

>>> from exeunt.models import ArchitectureSpec, ExitSpec, build_network
>>> resnet18, exits = ArchitectureSpec(name="resnet18"), ExitSpec(placement="all")
>>> network = build_network(resnet18, exits, image_shape=(3, 32, 32), classes=100, seed=0)
"""

from . import (  # noqa: F401 (each registers its architectures)
    densenet,
    mobilenet,
    msdnet,
    preact_resnet,
    resnet,
    resnext,
    seresnet,
    shufflenet,
    timm_models,
    torchvision_models,
    vgg,
    wide_resnet,
)
from .calibration import anytime, budgeted, calibrate_to_accuracy, calibrate_to_budget
from .cost import multiply_adds, parameters, peak_activation_bytes
from .early_exit import EarlyExit, criteria
from .exit_cost import ExitCost, exit_costs, exit_latencies
from .export import SUFFIXES, Format, export_network
from .heads import heads
from .network import ArchitectureSpec, ExitOutputs, ExitSpec, MultiExitNetwork, build_network
from .placement import Layout, architecture_layout, canonical, resolve
from .truncated import TruncatedNetwork
from .trunk import Block, Trunk, architectures

__all__ = [
    "SUFFIXES",
    "ArchitectureSpec",
    "Block",
    "EarlyExit",
    "ExitCost",
    "ExitOutputs",
    "ExitSpec",
    "Format",
    "Layout",
    "MultiExitNetwork",
    "TruncatedNetwork",
    "Trunk",
    "anytime",
    "architecture_layout",
    "architectures",
    "budgeted",
    "build_network",
    "calibrate_to_accuracy",
    "calibrate_to_budget",
    "canonical",
    "criteria",
    "exit_costs",
    "exit_latencies",
    "export_network",
    "heads",
    "multiply_adds",
    "parameters",
    "peak_activation_bytes",
    "resolve",
]
