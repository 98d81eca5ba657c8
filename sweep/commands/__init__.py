"""The command line, one file for each command.

Heavy imports happen inside the commands, so that `--help` answers at once.
"""

from . import describe, export, list, plan, status, sweep, sync, table
from .program import app

__all__ = ["app", "describe", "export", "list", "plan", "status", "sweep", "sync", "table"]
