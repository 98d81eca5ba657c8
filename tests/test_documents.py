import re
import shutil
from pathlib import Path

import pytest
import typer
import yaml
from exeunt.sweep.commands import app
from exeunt.sweep.planning import blocks as planning_blocks
from exeunt.sweep.planning import dataset_axis, exclude, method_configs, resources, search_part, settings, stopping
from exeunt.sweep.planning.parsing import field_names
from exeunt.training import Recipe

from .command_line import scripts
from .documents import DOCUMENTS, ROOT, SET_ELSEWHERE, Reader, blocks, prose

NOT_HERE = {
    "deploy/machine.sh": "several nodes; tests/sweep/execution starts two Ray nodes on one machine",
    "--address auto": "the Ray cluster of these machines",
    "docker": "Docker; tests/test_container.py checks the Dockerfile",
    "exeunt submit": "a remote Ray cluster and an object store",
    "sbatch": "Slurm",
    "pip install": "a download; tests/test_release.py installs the wheel",
    "postgresql": "a PostgreSQL server; tests/sweep/search starts one",
}
"""Parts of the commands and blocks that these tests skip, with the reason."""

SHELLS = {"bash", "sh", "shell", "shell-session", "zsh"}
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`]+)`")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")

names = pytest.mark.parametrize("document", [path.relative_to(ROOT) for path in DOCUMENTS], ids=str)


@pytest.fixture(scope="session")
def quickstart(made_once, exeunt):
    """A storage with all trials of the quickstart, from which several pages start."""

    def sweep(folder):
        answer = exeunt("demo", "--storage", folder)
        assert "49 trials, 49 to train" in answer.out
        assert (answer.status, answer.err) == (0, "")

    return made_once("quickstart", sweep)


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A reader that follows documents in an empty directory."""
    for name in SET_ELSEWHERE:
        monkeypatch.delenv(name, raising=False)
    with scripts() as runner:
        yield Reader(tmp_path, runner, skips=tuple(NOT_HERE))


@pytest.mark.slow
@names
def test_what_a_document_shows_happens(document, quickstart, reader, monkeypatch):
    """A page that shows an unfinished sweep starts with an empty storage, other pages with that of the quickstart."""
    monkeypatch.setenv("COLUMNS", "140")  # of a wide terminal, on which no table of a page is turned round
    if "--time-budget" not in "".join(block.text for block in blocks(ROOT / document)):
        shutil.copytree(quickstart / "trials", reader.folder / "runs" / "trials")
    reader.follow(ROOT / document)


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("```console\n$ ls nowhere\n```", "ends with 2, not 0"),
        ("```console\n$ true\nexeunt: something is wrong.\n```", "ends with 0, not 2"),
        ("```console\n$ echo 16 done in 2.5 s\n17 done in 2.5 s\n```", "does not print"),
        ("```console\n$ echo first; echo second\nsecond\nfirst\n```", "does not print, or not in this order: first"),
        ("```console\n$ echo 97.1 – 3 of 4\n97.1 – – 3 of 4\n```", "does not print"),
        ("```console\n$ echo 97.1 – 3 of 4\n97 – 3 of 4\n```", "does not print"),
        ("```console\n$ make something\n```", "ends with 2, not 0"),
        ("```python\nraise ValueError\n```", "ends with 1, not 0"),
        ("```yaml\nseeds: [0, a]\n```", "must be an integer"),
    ],
)
def test_what_does_not_happen_as_shown_is_noticed(written, complaint, reader):
    document = reader.folder / "document.md"
    document.write_text(f"{written}\n")
    with pytest.raises((AssertionError, ValueError), match=complaint):
        reader.follow(document)


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("* 99.7 in 3.1 s at abc.", "° 98.0 in 12.5 s at ...."),
        ("99.72 ± 0.28   –", "–   99.72 ± 0.28"),
        ("99.72 ± 0.28   1.00", "100.0   –"),
        ("1 of 2, over 3 comparisons", "2 of 2, over 4 comparisons"),
        ("98.4  99.1 ─────────── 98.2", "* 98.4  * 99.1 ─────────────── 98.2"),
        (r"r & \textbf{99.7 $\pm$ 0.2} & 98.1 \\", r"r & 98.0 $\pm$ 0.3 & \underline{99.2} \\"),
    ],
)
def test_what_varies_may_differ(printed, shown, reader):
    document = reader.folder / "document.md"
    lines = [
        "```text a.txt",
        "name: a",
        printed,
        "```",
        "",
        "```console",
        "$ cat a.txt",
        "name: a",
        "...",
        shown,
        "```",
    ]
    document.write_text("\n".join([*lines, ""]))
    reader.follow(document)


def test_nothing_is_passed_over_that_no_document_has():
    shown = "".join(block.text for document in DOCUMENTS for block in blocks(document))
    assert [part for part in NOT_HERE if part not in shown] == []


@names
def test_blocks_are_written_as_contributing_says(document):
    for block in blocks(ROOT / document):
        assert block.language, f"a block without a language:\n{block.text}"
        assert block.language not in SHELLS, f"commands must be in a console block:\n{block.text}"
        assert block.language != "console" or block.text.startswith("$ "), f"no command:\n{block.text}"


@names
def test_a_page_begins_with_its_kind_and_purpose(document):
    title, kind = (ROOT / document).read_text(encoding="utf-8").split("\n\n")[:2]
    assert title.startswith("# ")
    if document != Path("README.md"):
        assert re.match(r"\*(Tutorial|How-to|Reference|Explanation)\.\* You ", kind), "see the first lines of docs/*.md"


@names
def test_links_lead_somewhere(document):
    for target in LINK.findall(CODE.sub("", prose(ROOT / document))):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        file = (ROOT / document.parent / path) if path else ROOT / document
        assert file.exists(), target
        assert not anchor or anchor in _anchors(file), target


@names
def test_commands_and_options_exist(document):
    commands = typer.main.get_command(app).commands
    options = {name: {"--help", *_options(command)} for name, command in commands.items()}
    listed = [line for block in blocks(ROOT / document) if block.language == "text" for line in block.text.splitlines()]
    for code in (*CODE.findall(prose(ROOT / document)), *listed):
        words = code.split()
        named = words[1] if len(words) > 1 and words[0] == "exeunt" else ""
        if named.islower() and not named.startswith("-"):
            assert named in commands, code
            assert set(OPTION.findall(code)) <= options[named], code
        elif words and words[0].startswith("--"):
            assert OPTION.findall(words[0])[0] in set().union(*options.values()), code


@pytest.mark.parametrize(
    ("page", "parts"),
    [
        ("sweep-file.md", [settings.Settings, planning_blocks.Axes, Recipe, resources.Resources, stopping.Stopping]),
        ("sweep-file.md", [method_configs._Exits, method_configs.Teacher]),
        ("sweep-file.md", [dataset_axis.Folder]),
        ("search.md", [search_part.SearchKeys]),
    ],
)
def test_every_key_of_a_sweep_file_has_its_place(page, parts):
    described = set(CODE.findall(prose(ROOT / "docs" / page)))
    assert {key for part in parts for key in field_names(part)} <= described


def test_the_example_on_one_page_has_every_key():
    parts = [settings.Settings, planning_blocks.Axes, Recipe, resources.Resources, stopping.Stopping]
    parts += [search_part.SearchKeys, method_configs._Exits, method_configs.Teacher]
    files = [yaml.safe_load(block.text) for block in blocks(ROOT / "docs" / "one-page.md") if block.language == "yaml"]
    assert {key for part in parts for key in field_names(part)} <= {key for file in files for key in _keys(file)}


def test_every_field_of_an_exclusion_has_its_place():
    assert set(exclude.FIELDS) <= set(CODE.findall(prose(ROOT / "docs" / "sweep-file.md")))


def _keys(value: object) -> set[str]:
    """Return the keys of all mappings in a YAML value."""
    if isinstance(value, dict):
        return {*value, *(key for part in value.values() for key in _keys(part))}
    return {key for part in value for key in _keys(part)} if isinstance(value, list) else set()


def _options(command) -> list[str]:
    return [name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)]


def _anchors(file: Path) -> set[str]:
    """Return the anchors that GitHub derives from the headings."""
    headings = re.findall(r"^#+ (.*)$", prose(file), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
