"""What `exeunt verify` found, as a table."""

from collections.abc import Iterable

from rich.table import Table

from ..verify import Problem


def problems_table(problems: Iterable[Problem]) -> Table:
    """A row for each problem: of which trial, what it is, what to do."""
    table = Table(show_lines=True)
    for heading in ("of", "problem", "what to do"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "of")
    for problem in problems:
        table.add_row(problem.subject, problem.what, problem.remedy)
    return table
