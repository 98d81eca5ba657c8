"""Imports of a trial, which a worker of a local Ray does while it starts."""

import importlib
from contextlib import suppress

MODULES = (
    "exeunt.training.train",
    "exeunt.sweep.execution.distributed_launch",
    "exeunt.sweep.execution.preemption",
    "exeunt.sweep.execution.worker",
)

with suppress(Exception):  # the first trial reports it
    for module in MODULES:
        importlib.import_module(module)
