"""Values of options that the command line does not give: from the environment, from `exeunt.toml`, or defaults."""

import os
import subprocess
import sys

import pytest
import typer
from exeunt.specs.version import __version__
from exeunt.store import Store
from exeunt.sweep.commands import _options
from exeunt.sweep.commands import app as program

from ...command_line import run_in_process

HEAVY = {"torch", "ray", "mlflow", "pandas", "optuna", "numpy", "pyarrow", "yaml"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working directory, in an environment without variables of Exeunt and MLflow."""
    for name in ("EXEUNT_STORAGE", "EXEUNT_TRACKING", "EXEUNT_DATA", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def parsed():
    """Return a function that parses a command line and returns the context of its command."""

    def parse(*words):
        root = typer.main.get_command(program).make_context("exeunt", [*map(str, words)])
        name, command, rest = root.command.resolve_command(root, list(words))
        return command.make_context(name, rest, parent=root)

    return parse


def program_output(*words, **environment):
    """Return the output of a command, and the modules that it imports."""
    script = (
        "import sys; from exeunt.sweep.__main__ import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, env=os.environ | environment, check=True
    )
    return done.stdout, {name.partition(".")[0] for name in done.stderr.splitlines()[-1].split()}


def launched(storage, *names):
    for name in names:
        Store(storage).sweep_directory(name).write("sweep.yaml", b"")


def asking(words):
    """Return the environment in which Bash asks for the completions of the last word."""
    return {"_EXEUNT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}


@pytest.fixture
def completions(monkeypatch):
    def of_words(words):
        for name, value in asking(words).items():
            monkeypatch.setenv(name, value)
        return run_in_process().out.split()

    return of_words


def test_the_version_is_one_line_and_imports_nothing_heavy():
    printed, modules = program_output("--version")
    assert printed == f"exeunt {__version__}\n"
    assert __version__
    assert not modules & HEAVY


def test_commands_options_and_names_of_sweeps_are_completed(folder, completions):
    launched("runs", "alpha", "beta")
    launched("other", "gamma")
    assert {"sweep", "search", "status"} <= {*completions("exeunt s")}
    assert completions("exeunt status --st") == ["--storage"]
    assert completions("exeunt status be") == ["beta"]
    assert completions("exeunt table alpha --storage other ") == ["gamma"]
    assert completions("exeunt status --storage other b") == []
    (folder / "exeunt.toml").write_text('storage = "other"')
    assert completions("exeunt explain ") == ["gamma"]
    (folder / "exeunt.toml").write_text("storage = 3")
    assert completions("exeunt status ") == ["alpha", "beta"]


@pytest.mark.usefixtures("folder")
def test_a_completion_imports_nothing_heavy():
    launched("runs", "alpha")
    printed, modules = program_output(**asking("exeunt status "))
    assert printed.split() == ["alpha"]
    assert not modules & HEAVY


def test_a_storage_on_another_machine_is_not_asked_for_names():
    context = typer.Context(typer.main.get_command(program))
    context.params["storage"] = "s3://bucket/folder"
    assert _options.sweep_names(context, "") == []


def test_the_nearest_value_wins(parsed, folder, monkeypatch):
    assert parsed("status", "a").params["storage"] == "runs"
    (folder / "exeunt.toml").write_text('storage = "of file"\ntracking = "sqlite:///of-file.db"\n')
    assert parsed("status", "a").params["storage"] == "of file"
    assert parsed("table", "a").params["tracking"] == "sqlite:///of-file.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow")
    assert parsed("table", "a").params["tracking"] == "http://mlflow"
    monkeypatch.setenv("EXEUNT_TRACKING", "http://exeunt")
    monkeypatch.setenv("EXEUNT_STORAGE", "of environment")
    assert parsed("table", "a").params["tracking"] == "http://exeunt"
    assert parsed("submit", "a.yaml").params["storage"] == "of environment"
    options = parsed("table", "a", "--storage", "of option", "--tracking", "http://option").params
    assert (options["storage"], options["tracking"]) == ("of option", "http://option")


def test_paths_of_the_file_may_begin_with_the_home_directory(parsed, folder, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    (folder / "exeunt.toml").write_text('data = "~/data"\nplugins = ["~/own.py", "b.py"]\nstorage = "s3://b/~"\n')
    options = parsed("sweep", "a.yaml").params
    assert str(options["data"]) == "/home/me/data"
    assert [*map(str, options["plugin"])] == ["/home/me/own.py", "b.py"]
    assert options["storage"] == "s3://b/~"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (b'storge = "a"', "unknown key 'storge'; the nearest is 'storage'."),
        (b"[tool]", "unknown key 'tool'; choose from 'data', 'plugins', 'storage', 'tracking'."),
        (b"storage = 3", 'storage: must be text that is not empty, but got 3. Write storage = "runs".'),
        (b'data = ""', "data: must be text that is not empty, but got ''. Write data = \"data\"."),
        (
            b'plugins = "a.py"',
            "plugins: must be a list of file names, but got 'a.py'. Write plugins = [\"my_method.py\"].",
        ),
        (b"plugins = [1]", 'plugins: must be a list of file names, but got [1]. Write plugins = ["my_method.py"].'),
        (b"storage = runs", "is not valid TOML: Invalid value (at line 1, column 11)."),
        (b'storage = "\xff"', "is not UTF-8 text; save it as UTF-8."),
    ],
)
def test_a_mistake_in_the_file_is_one_message(written, message, folder):
    (folder / "exeunt.toml").write_bytes(written)
    assert run_in_process("status", "a") == (2, "", f"exeunt: exeunt.toml: {message}\n")
    assert run_in_process("--version").status == 0


def test_a_command_is_resumed_with_its_own_options(parsed, folder, monkeypatch):
    (folder / "exeunt.toml").write_text('storage = "shared"\ndata = "images"')
    monkeypatch.setenv("EXEUNT_TRACKING", "http://name:secret@host")
    words = "sweep", "a.yaml", "--only", "eed/*", "--only", "kd/*", "--time-budget", "4h", "--download", "--no-try"
    context = parsed(*words)
    again = _options.resume_command(context, "a.yaml", ["seeds=[0]"], context.params["storage"])
    assert again[:6] == ["exeunt", "sweep", "a.yaml", "seeds=[0]", "--storage", "shared"]
    assert sorted(again[6:]) == sorted(words[2:])
    monkeypatch.setenv("EXEUNT_DATA", "elsewhere")
    given = parsed("sweep", "a.yaml", "--data", "/here")
    assert _options.resume_command(given, "a.yaml", None, "runs")[-2:] == ["--data", "/here"]


def test_a_job_gets_the_values_that_only_this_machine_has(parsed, folder, monkeypatch):
    (folder / "exeunt.toml").write_text('storage = "/shared"\ndata = "images"\nplugins = ["a.py"]')
    monkeypatch.setenv("EXEUNT_TRACKING", "http://host")
    words = _options.job_options(parsed("submit", "a.yaml", "--no-follow", "--address", "ray://host:10001"))
    assert words == ["--data", str(folder / "images"), "--tracking", "http://host"]
