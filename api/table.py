"""Tables of a sweep."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..results import RenderedTable, render

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ResultTable:
    """Table of a sweep. `print` writes it as text, and a notebook shows it as HTML."""

    rendered: RenderedTable
    """Title, remarks, headings, rows and notes."""

    def __str__(self) -> str:
        return render(self.rendered, "text")

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_frame(self) -> "pd.DataFrame":
        """Return the numbers in full precision: one row per value, with the columns of `to_csv`."""
        import pandas as pd

        records = [
            {name: math.nan if value is None else value for name, value in record.items()}
            for record in self.rendered.records
        ]
        return pd.DataFrame.from_records(records)

    def to_csv(self) -> str:
        """Return the numbers in full precision as CSV: one line per value."""
        return render(self.rendered, "csv")

    def to_text(self, width: float = 100) -> str:
        """Return the table as text with lines of at most `width` characters; no word is broken."""
        return render(self.rendered, "text", width=width)

    def to_latex(
        self, width: float = 345, *, floating: Literal["table", "table*"] = "table", siunitx: bool = False
    ) -> str:
        """Return a LaTeX table for a paper.

        Args:
            width: Width of the page in points; default: the text of the class `article`.
            floating: Environment; `table*` spans both columns of a page.
            siunitx: True to align numbers by columns of the package siunitx.
        """
        return render(self.rendered, "latex", width=width, floating=floating, siunitx=siunitx)

    def to_markdown(self) -> str:
        """Return a table in GitHub Markdown."""
        return render(self.rendered, "markdown")

    def to_html(self) -> str:
        """Return the table as HTML."""
        return render(self.rendered, "html")

    def to_json(self) -> str:
        """Return title, remarks, notes and numbers as one JSON object."""
        return render(self.rendered, "json")
