"""Architectures with auxiliary exits, their costs, early-exit inference and export.

>>> from exeunt.models import ArchitectureSpec, ExitSpec, build_network
>>> resnet18, exits = ArchitectureSpec(name="resnet18"), ExitSpec(placement="all")
>>> network = build_network(resnet18, exits, image_shape=(3, 32, 32), classes=100, seed=0)
"""

# Each of these modules registers its architectures.
from . import densenet as densenet
from . import mobilenet as mobilenet
from . import msdnet as msdnet
from . import preact_resnet as preact_resnet
from . import resnet as resnet
from . import resnext as resnext
from . import seresnet as seresnet
from . import shufflenet as shufflenet
from . import timm_models as timm_models
from . import torchvision_models as torchvision_models
from . import vgg as vgg
from . import wide_resnet as wide_resnet
from .backbone import Backbone, Block, architectures
from .cost import multiply_adds, parameters, peak_activation_bytes
from .early_exit.calibration import anytime, budgeted, calibrate_to_accuracy, calibrate_to_budget
from .early_exit.inference import EarlyExit, criteria
from .early_exit.truncated import TruncatedNetwork
from .exit_cost import ExitCost, exit_activation_bytes, exit_costs, exit_latencies
from .export import SUFFIXES, Format, export_network
from .heads import heads
from .network import ArchitectureSpec, Cohort, ExitOutputs, ExitSpec, MultiExitNetwork, build_network
from .placement import Layout, architecture_layout, canonical, resolve

__all__ = [
    "SUFFIXES",
    "ArchitectureSpec",
    "Backbone",
    "Block",
    "Cohort",
    "EarlyExit",
    "ExitCost",
    "ExitOutputs",
    "ExitSpec",
    "Format",
    "Layout",
    "MultiExitNetwork",
    "TruncatedNetwork",
    "anytime",
    "architecture_layout",
    "architectures",
    "budgeted",
    "build_network",
    "calibrate_to_accuracy",
    "calibrate_to_budget",
    "canonical",
    "criteria",
    "exit_activation_bytes",
    "exit_costs",
    "exit_latencies",
    "export_network",
    "heads",
    "multiply_adds",
    "parameters",
    "peak_activation_bytes",
    "resolve",
]
