"""Each promise of docs/promises.md names its assumptions, tests that exist, and its limit."""

import ast
import re

import pytest

from .documents import ROOT

PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
PROMISES = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))
TEST = re.compile(r"`(tests/\w[\w/]*\.py)::([\w:]+)`")


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_names_its_assumptions_its_tests_and_its_limit(promise):
    for part in ("Assumes", "Shown by", "Limit"):
        assert f"\n- {part}: " in PROMISES[promise].replace("by:\n", "by: "), part
    assert TEST.search(PROMISES[promise])


@pytest.mark.parametrize(("file", "name"), sorted(set(TEST.findall(PAGE))))
def test_a_named_test_exists(file, name):
    body = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    for part in name.split("::"):
        found = [node for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == part]
        assert found, f"{file} has no {part}"
        body = found[0].body
    assert part.startswith("test_")


def test_each_file_that_the_page_names_exists():
    named = re.findall(r"\btests/\w[\w/]*\.py", PAGE)
    assert not [file for file in named if not (ROOT / file).exists()]
