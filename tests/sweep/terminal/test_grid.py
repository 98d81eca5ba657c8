"""Tables of the terminal at every width."""

import pytest
from exeunt.sweep.terminal.grid import Grid
from rich.console import Console
from rich.text import Text

ROWS = [("torchvision/efficientnet_v2_s", "deep_supervision", "1,000"), ("resnet8", "eed [all exits]", "12")]


def printed(width: int, **options: object) -> str:
    table = Grid(**options)
    for heading in ("architecture", "method", "multiply-\nadds"):
        table.add_column(heading, overflow="fold")
    for row in ROWS:
        table.add_row(*map(Text, row))
    console = Console(width=width, color_system=None, force_terminal=True)
    with console.capture() as output:
        console.print(table)
    return output.get()


@pytest.mark.parametrize("width", [40, 50, 60, 80, 110, 200])
@pytest.mark.parametrize("options", [{}, {"box": None, "padding": (0, 2, 0, 0)}, {"title": Text("Costs")}])
def test_no_word_is_broken(width, options):
    output = printed(width, **options)
    words = {word.strip("│┃:") for word in output.split()}
    assert {word for row in ROWS for text in row for word in text.split()} <= words
    assert max(map(len, output.splitlines())) <= width


def test_a_narrow_terminal_shows_a_list():
    assert "architecture: resnet8\nmethod: eed [all exits]\nmultiply-adds: 12\n" in printed(40)
