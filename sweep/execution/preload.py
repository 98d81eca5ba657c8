"""Imports of a trial, which a worker of a local Ray does while it starts."""

import gc
import importlib
from contextlib import suppress

MODULES = (
    "exeunt.training.train",
    "exeunt.sweep.execution.distributed_launch",
    "exeunt.sweep.execution.preemption",
    "exeunt.sweep.execution.worker",
)

gc.disable()  # collections find nothing here, and take a fifth of the time
with suppress(Exception):  # the first trial reports it
    for module in MODULES:
        importlib.import_module(module)
gc.freeze()
gc.enable()
