import io
import time

import pytest
from exeunt.sweep.terminal import steps
from exeunt.sweep.terminal.steps import Steps
from rich.console import Console


def console(*, is_terminal):
    return Console(file=io.StringIO(), force_terminal=is_terminal, width=80)


def printed(where):
    return where.file.getvalue()


def until(condition):
    patience = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < patience
        time.sleep(0.01)


def shown(monkeypatch, *, is_terminal):
    output = console(is_terminal=is_terminal)
    monkeypatch.setattr(steps, "TerminalConsole", lambda **_: output)
    with steps.shown_steps() as step:
        step("Drawing figures: [gain]")
        if is_terminal:
            output.print("a line")
    return printed(output)


def test_the_step_is_shown_on_a_terminal(monkeypatch):
    assert "Drawing figures: [gain]" in shown(monkeypatch, is_terminal=True)


def test_a_pipe_gets_no_short_step(monkeypatch):
    assert shown(monkeypatch, is_terminal=False) == ""


def test_a_log_gets_a_line_for_each_long_step():
    output = console(is_terminal=False)
    waiting = Steps(output, long_s=0.0)
    waiting.show("Waiting for Ray to start")
    until(lambda: printed(output))
    waiting.show("Waiting for [a] worker")
    until(lambda: printed(output).count("\n") == 2)
    waiting.close()
    assert printed(output) == "Waiting for Ray to start (0 s) ...\nWaiting for [a] worker (0 s) ...\n"


def test_a_log_gets_a_line_again_while_a_step_lasts_and_none_afterwards():
    output = console(is_terminal=False)
    waiting = Steps(output, long_s=0.0, repeat_s=0.02)
    waiting.show("Waiting for Ray to start")
    until(lambda: printed(output).count("\n") > 2)
    waiting.close()
    before = printed(output)
    time.sleep(0.1)
    assert printed(output) == before


def test_a_terminal_shows_the_seconds_of_a_long_step():
    output = console(is_terminal=True)
    waiting = Steps(output, long_s=0.0)
    waiting.show("Waiting for Ray to start")
    waiting.close()
    assert "Waiting for Ray to start (0 s) ..." in printed(output)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_never_showed_a_step_can_be_closed(is_terminal):
    output = console(is_terminal=is_terminal)
    Steps(output).close()
    assert printed(output) == ""
