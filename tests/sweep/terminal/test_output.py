"""Output in any encoding, to a full disk, a closed pipe and a closed file."""

import errno
import io
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from exeunt.specs import SpecError
from exeunt.specs.text import encodable
from exeunt.sweep import __main__ as program
from exeunt.sweep.terminal.console import TerminalConsole
from exeunt.sweep.terminal.output import OutputError, checked_output

TABLE = """\
  architecture       baseline
 ───────────────────────────────
  resnet8        93.64 ± 1.36†   ≥ 3 → „ü“ ☃
"""


def full_disk():
    return Path("/dev/full").open("w")


def closed_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


def printed(text, encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    with redirect_stdout(stream), checked_output():
        print(text, end="")
    return stream.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "koi8-r"])
def test_text_is_printed_in_any_encoding(encoding):
    out = printed(TABLE, encoding)
    heading, rule, row = out.splitlines()
    assert heading == TABLE.splitlines()[0]
    assert "─" not in rule or encoding in ("cp437", "koi8-r")
    assert len(rule) == len(TABLE.splitlines()[1])
    assert row.startswith("  resnet8")
    assert "93.64 " in row
    assert "?" in row, "no form of the snowman"


def test_columns_remain_aligned_where_a_form_is_longer():
    row = encodable(TABLE, "ascii").splitlines()[2]
    assert row.startswith("  resnet8       93.64 +- 1.36#  >= 3 ->")
    assert encodable(TABLE, "utf-8") == TABLE


def test_bytes_that_are_no_text_are_printed():
    assert printed("a\udcffb\n", "utf-8") == "a?b\n"


@pytest.mark.parametrize(
    ("broken", "cause"),
    [(full_disk, "No space left on device. Free space"), (closed_pipe, "Broken pipe. The reader of the pipe ended")],
)
def test_output_that_cannot_be_written_is_one_message(broken, cause, monkeypatch, capsys):
    def act(prog_name):
        print(prog_name * 10)
        sys.exit(0)

    monkeypatch.setattr(program, "app", act)
    with broken() as stream, redirect_stdout(stream), pytest.raises(SystemExit) as end:
        program.main()
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"exeunt: standard output cannot be written: {cause}")


def test_an_error_of_standard_error_has_no_effect(monkeypatch):
    with full_disk() as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with checked_output():
            print("lost", file=sys.stderr, flush=True)


def test_a_closed_standard_output_is_no_error(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with checked_output():
        print("nowhere", flush=True)
        TerminalConsole().print("nowhere")
    assert sys.stdout is None


def test_output_errors_are_errors_for_users():
    assert issubclass(OutputError, SpecError)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/x/y"),
            "/x/y cannot be used: No space left on device. Free",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "/x"),
            "/x cannot be used: Read-only file system. Choose a place",
        ),
        (SpecError("a\x1b[31mb http://u:secret@h/x"), "a\\x1b[31mb http://***@h/x"),
    ],
)
def test_errors_of_the_machine_and_control_characters_are_one_line(error, line, monkeypatch, capsys):
    def act(**_):
        raise error

    monkeypatch.setattr(program, "app", act)
    with pytest.raises(SystemExit) as end:
        program.main()
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(f"exeunt: {line}")


def test_other_errors_of_the_system_have_a_traceback(monkeypatch):
    def act(**_):
        raise OSError(errno.ECHILD, "No child processes")

    monkeypatch.setattr(program, "app", act)
    with pytest.raises(OSError, match="No child processes"):
        program.main()


def test_a_console_shows_control_characters():
    file = io.StringIO()
    TerminalConsole(file=file, width=60, color_system="standard", force_terminal=True).print(
        "[red]a[/red] \x1b]0;title\a \u202eb", highlight=False
    )
    assert file.getvalue() == "\x1b[31ma\x1b[0m \\x1b]0;title \\u202eb\n"
