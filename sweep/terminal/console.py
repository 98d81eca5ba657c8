"""Console of the commands."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from ...specs import printable_lines


class TerminalConsole(Console):
    """Console that shows control characters in names and messages, instead of sending them to the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Iterate over the segments of a renderable; only those of Rich itself control the terminal."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable_lines(text), style, control)
