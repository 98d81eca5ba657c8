"""The index of error messages quotes messages that the code has."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .documents import ROOT, prose

PACKAGES = ("specs", "losses", "models", "store", "training", "sweep", "results", "api")
HOLE = "\0"
ROW = re.compile(r"^\| (`+) ?(.+?) ?\1 \|", re.MULTILINE)
QUOTED = [message for _, message in ROW.findall(prose(ROOT / "docs" / "errors.md"))]


def texts(file: Path) -> Iterator[str]:
    """Iterate over the string literals of a module; a hole stands for each value of a formatted one."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else HOLE for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield " ".join(node.value.split())


@pytest.fixture(scope="module")
def modules() -> list[str]:
    """Literals of each module, joined."""
    return ["\n".join(texts(file)) for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]


def test_the_index_has_the_frequent_messages():
    assert len(QUOTED) >= 30
    assert len(set(QUOTED)) == len(QUOTED)


@pytest.mark.parametrize("message", QUOTED, ids=range(len(QUOTED)))
def test_a_quoted_message_is_in_the_code(message, modules):
    """One module has all of its words, because a message is put together where it is raised."""
    words = [part.strip(" ;") for part in re.split(r"\.\.\.", message) if part.strip(" ;,.")]
    assert any(all(part in module for part in words) for module in modules), words
