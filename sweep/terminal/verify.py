"""Table of the problems that `exeunt verify` found."""

from collections.abc import Iterable

from ..verify import Problem
from .grid import Grid


def problems_table(problems: Iterable[Problem]) -> Grid:
    """Return a table with a row for each problem: its trial or sweep, the problem, the fix."""
    table = Grid(show_lines=True)
    for heading in ("subject", "problem", "fix"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "subject")
    for problem in problems:
        table.add_row(problem.subject, problem.what, problem.remedy)
    return table
