"""Lines of `exeunt doctor`, one for each finding."""

from rich.table import Table
from rich.text import Text

from ..doctor import Finding, Verdict

STYLES: dict[Verdict, str] = {"ok": "green", "advice": "yellow", "wrong": "red"}


def finding_line(finding: Finding) -> Table:
    """Return a line with verdict, subject and finding, and a second line with the fix if there is one."""
    line = Table.grid(padding=(0, 2, 0, 0))
    line.add_column(width=6, style=STYLES[finding.verdict])
    line.add_column(width=11)
    line.add_column(overflow="fold")
    line.add_row(finding.verdict, finding.subject, Text(finding.what))
    if finding.remedy:
        line.add_row("", "", Text(f"-> {finding.remedy}"))
    return line
