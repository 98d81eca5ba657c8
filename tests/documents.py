"""Blocks of documents, and a reader that runs them. CONTRIBUTING.md defines the format of blocks."""

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from exeunt.sweep.planning.sweep_file import read_sweep

from .command_line import Scripts

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])

FENCED = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```$", flags=re.MULTILINE | re.DOTALL)
VARIES = re.compile(
    r"(\.\.\.|─{2,}|(?<!\S)–(?!\S)|[-+]?\d+\.\d+(?: ± \d+\.\d+)?|(?<=over )\d+(?= comparisons)|\b\d+ of \d+\b)"
)
"""Parts of a shown line that may differ from the printed one, because CPUs round differently."""
MEASURED = r"(?:[-+]?\d+\.\d+(?: ± \d+\.\d+)?|–)"
"""Text that matches a shown number with decimals, or a shown dash."""
MARKS = re.compile(r"[*°†]|(?<=[\d†])=|\\(?:textbf|underline)\{([^{}]*)\}")
"""Marks at the best, significant and equal means of a table; a different CPU may move them."""
SET_ELSEWHERE = (
    "COLUMNS", "EXEUNT_DATA", "EXEUNT_STORAGE", "EXEUNT_TRACKING", "MLFLOW_TRACKING_URI", "RAY_ADDRESS",
)  # fmt: skip
EXCERPT = """\
name: excerpt
dataset: cifar100
architectures: [resnet8]
seeds: [0, 1, 2]
recipe: fast
methods:
  baseline: {}
  eed: {exits: all}
"""
"""Sweep file that completes a YAML block without a file name."""


@dataclass(frozen=True)
class Command:
    """A line that begins with `$ `, and the output shown below it."""

    line: str
    shown: list[str] = field(default_factory=list)

    @property
    def status(self) -> int:
        """Expected exit status: 2 if the document shows an error message."""
        return 2 if self.shown and self.shown[0].startswith("exeunt: ") else 0


@dataclass(frozen=True)
class Block:
    """Fenced block of a document."""

    language: str
    name: str
    """Name of the file that the reader writes; empty if the block is no file."""
    text: str

    @property
    def commands(self) -> list[Command]:
        """Commands of a `console` block."""
        commands: list[Command] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                commands.append(Command(line.removeprefix("$ ")))
            else:
                commands[-1].shown.append(line)
        return commands


def blocks(document: Path) -> Iterator[Block]:
    """Iterate over the fenced blocks, in order."""
    for _, info, text in FENCED.findall(document.read_text(encoding="utf-8")):
        language, _, name = info.strip().partition(" ")
        yield Block(language, name.strip(), textwrap.dedent(text))


def prose(document: Path) -> str:
    """Return the text without the fenced blocks."""
    return FENCED.sub("", document.read_text(encoding="utf-8"))


class Reader:
    """Executor of the blocks of a document, in a directory that contains only the repository's `configs`."""

    def __init__(self, folder: Path, scripts: Scripts, skips: tuple[str, ...] = ()) -> None:
        """Skip commands and blocks that contain any of `skips`."""
        self.folder = folder
        self._scripts = scripts
        self._skips = skips
        self._sessions: list[int] = []
        shutil.copytree(ROOT / "configs", folder / "configs")
        self._environment = {name: value for name, value in os.environ.items() if name not in SET_ELSEWHERE}
        path = [str(scripts.folder), str(Path(sys.executable).parent), os.environ["PATH"]]
        self._environment["PATH"] = os.pathsep.join(path)

    def follow(self, document: Path) -> None:
        """Execute all blocks in order. Raise `AssertionError` if a result differs from the document."""
        try:
            for block in blocks(document):
                self._follow(block)
        finally:
            for session in self._sessions:  # background processes of the commands
                with suppress(ProcessLookupError):
                    os.killpg(session, signal.SIGTERM)

    def _follow(self, block: Block) -> None:
        if block.language == "console":
            for command in block.commands:
                if not self._passes_over(command.line):
                    self._give(command)
        elif block.name:
            file = self.folder / block.name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        elif block.language == "python" and not self._passes_over(block.text):
            self._run([sys.executable, "-c", block.text], self.folder)
        elif block.language == "yaml" and not self._passes_over(block.text):
            self._read_excerpt(block.text)

    def _passes_over(self, text: str) -> bool:
        return any(part in text for part in self._skips)

    def _give(self, command: Command) -> None:
        if command.line.startswith("make"):  # the tests do not run themselves, but the target must exist
            self._run(["bash", "-c", command.line.replace("make", "make --dry-run", 1)], ROOT)
            return
        printed = _squeezed(self._run(["bash", "-c", command.line], self.folder, status=command.status))
        at = 0
        for line in filter(str.strip, command.shown):
            found = _pattern(line).search(printed, at)
            assert found, f"`{command.line}` does not print, or not in this order: {line}\nOutput: {printed[at:]}"
            at = found.end()

    def _run(self, words: list[str], folder: Path, status: int = 0) -> str:
        """Return the output of a command, which may leave background processes. Its exit status has to be `status`."""
        output = self.folder / ".output"
        with output.open("w") as file:
            process = subprocess.Popen(
                words,
                cwd=folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._sessions.append(process.pid)
            ended = self._scripts.wait_for(process)
        printed = output.read_text(encoding="utf-8")
        output.unlink()
        assert ended == status, f"`{words[-1]}` ends with {ended}, not {status}:\n{printed}"
        return printed

    def _read_excerpt(self, text: str) -> None:
        """Read a part of a sweep file; keys that all of its blocks set are not added at the top."""
        part = yaml.safe_load(text)
        of_blocks = part.get("blocks", [{}])
        rest = {
            key: value
            for key, value in yaml.safe_load(EXCERPT).items()
            if key not in part and not all(key in own for own in of_blocks)
        }
        file = self.folder / ".excerpt.yaml"
        shared = yaml.safe_dump(rest) if rest else ""
        file.write_text(f"{shared}{text}", encoding="utf-8")
        read_sweep(file)
        file.unlink()


def _squeezed(text: str) -> str:
    return " ".join(MARKS.sub(r"\1", text).split())


def _pattern(line: str) -> re.Pattern[str]:
    parts = VARIES.split(_squeezed(line))  # every second part varies
    varying = [_may_stand_for(part) for part in parts[1::2]]
    return re.compile(
        "".join(re.escape(text) + varies for text, varies in zip(parts[::2], [*varying, ""], strict=True))
    )


def _may_stand_for(shown: str) -> str:
    if shown == "...":
        return ".*?"
    if shown.startswith("─"):  # the marks change the width of columns, and so of rules
        return "─+"
    return r"\d+ of \d+" if " of " in shown else r"\d+" if shown.isdigit() else MEASURED
