"""Imports of a trial, which a worker of a local Ray does while it starts."""

import importlib
from contextlib import suppress

with suppress(Exception):  # the first trial reports it
    importlib.import_module("exeunt.training.train")
    importlib.import_module("exeunt.sweep.execution.runner")
