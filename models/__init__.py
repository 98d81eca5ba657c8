"""Architectures with auxiliary exits, their costs, early-exit inference and export.

Settings, names, layouts and placements are plain data. PyTorch is imported when a network is built.

>>> from exeunt.models import ArchitectureSpec, ExitSpec, build_network
>>> resnet18, exits = ArchitectureSpec(name="resnet18"), ExitSpec(placement="all")
>>> network = build_network(resnet18, exits, image_shape=(3, 32, 32), classes=100, seed=0)
"""

from typing import TYPE_CHECKING

from ..specs.lazy import lazy_exports
from .architectures import PRETRAINED, architectures
from .heads import head_multiply_adds, heads
from .layout import Layout
from .network_specs import ArchitectureSpec, ExitSpec
from .placement import architecture_layout, canonical, resolve

if TYPE_CHECKING:
    from .attachment import attach_exits, load_original_state, original_state, refuse_other_weights
    from .backbone import Backbone, Block
    from .cost import multiply_adds, parameters, peak_activation_bytes
    from .early_exit.calibration import anytime, budgeted, calibrate_to_accuracy, calibrate_to_budget
    from .early_exit.inference import EarlyExit, criteria
    from .early_exit.latency import Latency, LatencyComparison, early_exit_latency
    from .early_exit.risk import RiskGuarantee, control_risk
    from .early_exit.temperature import TemperatureScaledNetwork, fit_temperatures, scaled
    from .early_exit.truncated import TruncatedNetwork
    from .exit_cost import ExitCost, exit_activation_bytes, exit_costs, exit_latencies
    from .export import SUFFIXES, Format, export_network
    from .network import Cohort, ExitOutputs, MultiExitNetwork, build_network

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Backbone": ".backbone",
        "Block": ".backbone",
        "Cohort": ".network",
        "EarlyExit": ".early_exit.inference",
        "ExitCost": ".exit_cost",
        "ExitOutputs": ".network",
        "Format": ".export",
        "Latency": ".early_exit.latency",
        "LatencyComparison": ".early_exit.latency",
        "MultiExitNetwork": ".network",
        "RiskGuarantee": ".early_exit.risk",
        "SUFFIXES": ".export",
        "TemperatureScaledNetwork": ".early_exit.temperature",
        "TruncatedNetwork": ".early_exit.truncated",
        "attach_exits": ".attachment",
        "load_original_state": ".attachment",
        "original_state": ".attachment",
        "refuse_other_weights": ".attachment",
        "anytime": ".early_exit.calibration",
        "budgeted": ".early_exit.calibration",
        "build_network": ".network",
        "calibrate_to_accuracy": ".early_exit.calibration",
        "calibrate_to_budget": ".early_exit.calibration",
        "control_risk": ".early_exit.risk",
        "criteria": ".early_exit.inference",
        "early_exit_latency": ".early_exit.latency",
        "exit_activation_bytes": ".exit_cost",
        "exit_costs": ".exit_cost",
        "exit_latencies": ".exit_cost",
        "export_network": ".export",
        "fit_temperatures": ".early_exit.temperature",
        "multiply_adds": ".cost",
        "parameters": ".cost",
        "peak_activation_bytes": ".cost",
        "scaled": ".early_exit.temperature",
    },
)

__all__ = [
    "PRETRAINED",
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
    "Latency",
    "LatencyComparison",
    "Layout",
    "MultiExitNetwork",
    "RiskGuarantee",
    "TemperatureScaledNetwork",
    "TruncatedNetwork",
    "anytime",
    "architecture_layout",
    "architectures",
    "attach_exits",
    "budgeted",
    "build_network",
    "calibrate_to_accuracy",
    "calibrate_to_budget",
    "canonical",
    "control_risk",
    "criteria",
    "early_exit_latency",
    "exit_activation_bytes",
    "exit_costs",
    "exit_latencies",
    "export_network",
    "fit_temperatures",
    "head_multiply_adds",
    "heads",
    "load_original_state",
    "multiply_adds",
    "original_state",
    "parameters",
    "peak_activation_bytes",
    "refuse_other_weights",
    "resolve",
    "scaled",
]
