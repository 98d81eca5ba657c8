"""Command line, one file for each command.

Heavy imports happen inside the commands, so that `--help` prints at once.
"""

from . import (
    calibrate,
    clean,
    demo,
    describe,
    doctor,
    explain,
    export,
    figures,
    init,
    list,
    migrate,
    plan,
    report,
    schema,
    search,
    status,
    submit,
    sweep,
    sync,
    table,
    verify,
)
from ._options import app

__all__ = [
    "app",
    "calibrate",
    "clean",
    "demo",
    "describe",
    "doctor",
    "explain",
    "export",
    "figures",
    "init",
    "list",
    "migrate",
    "plan",
    "report",
    "schema",
    "search",
    "status",
    "submit",
    "sweep",
    "sync",
    "table",
    "verify",
]
