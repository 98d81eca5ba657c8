"""Lint the project's sentences and names: `python tests/prose.py`, part of `make lint`.

It reports, one line per finding and with exit status 1:

- a docstring that opens with a preposition or a question word instead of a verb or a noun;
- a phrase of the private language that the project has left, in docstrings, messages, help texts, comments and pages;
- a class name that the product defines twice;
- a constant that holds a time and does not name its unit.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("specs", "losses", "models", "store", "training", "sweep", "results", "api", "benchmarks")
PAGES = ("README.md", "CONTRIBUTING.md", "docs/**/*.md")

OPENINGS = {*"of what how whether where by as those all which who whose that when for in everything".split()}  # noqa: SIM905

PHRASES = re.compile(
    r"""
      \b(?:nobody|anybody|somebody|whatever|rubbish|overseer|pupils?|foretell|alike)\b
    | \bbut\s+for\b | \bat\s+present\b | \bof\s+one's\s+own\b | \bof\s+your\s+own\b
    | \b(?:comes?|came)\s+along\b | \bgo(?:es)?\s+on\b | \bwent\s+on\b | \bgoing\s+on\b
    | \b(?:says|said|tells|knows|wants|asks|wishes|remembers|remembered)\b
    | \b(?:is|are|was|were|be|been)\s+told\b | \basked\s+for\b | \blooks\s+(?:at|for|like)\b
    | \bwhat\s+(?:is|was|are|were)\s+(?:missing|left|there|needed|wanted|done)\b
    | \bwould\s+(?:teach|train)\b | \btrained\s+only\s+to\b | \bteach(?:es)?\s+itself\b
    | \bchose\b | \bchosen\s+by\b | \bwhere\s+numbers\s+end\b | \bnothing\s+that\s+bends\b
    | \bthat\s+takes\s+\d | \b(?:is|are)\s+known\s+only\b | \bthe\s+same\s+as\s+another\b
    | \bis\s+not\s+there\b | \bare\s+not\s+there\b | \bis\s+there\s+already\b
    | \bdata\s+sets?\b
    """,
    re.VERBOSE | re.IGNORECASE,
)

TIMES = re.compile(r"TIMEOUT|INTERVAL|DELAY|WAIT|PERIOD|DEADLINE|GRACE|PAUSE|(?:^|_)(?:AFTER|EVERY|AGE)(?:_|$)")
QUOTED = re.compile(r"`[^`\n]*`|(?<![*\w])\*[^*\s][^*\n]*\*(?!\*)")
"""Code in backticks, and titles in italics, of a page."""

PLAINER = "'{}': use the field's word or a plain sentence"

UNITS = re.compile(r"_(?:S|MS|US|NS|MIN|H|DAYS|EPOCHS?|STEPS?|TRIALS?|TRIES)$")


class Finding(NamedTuple):
    """One sentence or name that breaks a rule."""

    place: str
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.place}:{self.line}: {self.problem}"


def opening(docstring: str) -> str | None:
    """Return the first word of `docstring` if a docstring must not open with it."""
    word = re.match(r"\W*(\w+)", docstring)
    return word[1] if word and word[1].lower() in OPENINGS else None


def phrases(text: str) -> list[str]:
    """Return the phrases of `text` that the word list forbids, outside code and titles."""
    return [" ".join(found[0].split()) for found in PHRASES.finditer(QUOTED.sub("", text))]


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Iterate over the docstrings of modules, classes, functions and fields, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for statement in node.body:
                match statement:
                    case ast.Expr(value=ast.Constant(value=str(text))):
                        yield statement.lineno, text


def texts(source: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Iterate over what a person may read in a module: strings of several words, and comments."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if " " in text.strip():
                yield node.lineno, text
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def paragraphs(page: str) -> Iterator[tuple[int, str]]:
    """Iterate over the paragraphs of a Markdown page outside its fenced code, with their first lines."""
    prose = re.sub(r"^```.*?^```$", lambda code: "\n" * code[0].count("\n"), page, flags=re.DOTALL | re.MULTILINE)
    for paragraph in re.finditer(r"(?:^.*\S.*\n?)+", prose, flags=re.MULTILINE):
        yield prose.count("\n", 0, paragraph.start()) + 1, paragraph[0]


def times_without_unit(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Iterate over module constants that hold a time by their name, and do not end with its unit."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=int() | float()) | ast.BinOp()):
                if name.isupper() and TIMES.search(name) and not UNITS.search(name):
                    yield node.lineno, name


def of_modules(root: Path) -> Iterator[Finding]:
    """Iterate over the findings in the product's modules below `root`."""
    classes: dict[str, str] = {}
    for path in sorted(path for folder in PRODUCT for path in root.glob(f"{folder}/**/*.py")):
        place, source = str(path.relative_to(root)), path.read_text()
        tree = ast.parse(source)
        for line, text in docstrings(tree):
            if word := opening(text):
                yield Finding(place, line, f"docstring opens with '{word}'; begin with a verb or a noun")
        for line, text in texts(source, tree):
            for phrase in phrases(text):
                yield Finding(place, line, PLAINER.format(phrase))
        for line, name in times_without_unit(tree):
            yield Finding(place, line, f"{name} holds a time; name its unit, as in {name}_S")
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not place.startswith("benchmarks"):
                first = classes.setdefault(node.name, f"{place}:{node.lineno}")
                if first != f"{place}:{node.lineno}":
                    yield Finding(place, node.lineno, f"class {node.name} is also defined in {first}")


def of_pages(root: Path) -> Iterator[Finding]:
    """Iterate over the findings in the pages below `root`."""
    for path in sorted(path for pattern in PAGES for path in root.glob(pattern)):
        for line, text in paragraphs(path.read_text()):
            for phrase in phrases(text):
                yield Finding(
                    str(path.relative_to(root)), line, f"'{phrase}': use the field's word or a plain sentence"
                )


def main() -> int:
    """Print every finding and return the exit status."""
    findings = [*of_modules(ROOT), *of_pages(ROOT)]
    print(*findings, f"{len(findings)} findings", sep="\n")
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
