"""Imports of a trial, which a worker of a local Ray does while it starts."""

import importlib
from contextlib import suppress

with suppress(Exception):  # the first trial reports it
    for module in ("training.train", "sweep.execution.distributed_launch", "sweep.execution.runner"):
        importlib.import_module(f"exeunt.{module}")
