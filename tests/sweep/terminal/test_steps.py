import io

from exeunt.sweep.terminal import steps
from rich.console import Console


def shown(monkeypatch, *, is_terminal):
    output = io.StringIO()
    console = Console(file=output, force_terminal=is_terminal, width=80)
    monkeypatch.setattr(steps, "Console", lambda **_: console)
    with steps.shown_steps() as step:
        step("Drawing figures: [gain]")
        if is_terminal:
            console.print("a line")
    return output.getvalue()


def test_the_step_is_shown_on_a_terminal(monkeypatch):
    assert "Drawing figures: [gain]" in shown(monkeypatch, is_terminal=True)


def test_a_pipe_gets_nothing(monkeypatch):
    assert shown(monkeypatch, is_terminal=False) == ""
