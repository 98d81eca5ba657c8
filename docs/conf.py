"""Configuration of the documentation site: `make site` builds it from README.md and docs/.

The source directory is the repository, so that a link between pages leads to the same page here and in the site.
"""

import re
import shutil
import tomllib
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.ext.napoleon import GoogleDocstring

ROOT = Path(__file__).resolve().parents[1]
GROUP = re.compile(r"^([A-Z][a-z ]+) \([a-z -]+\):\n\n((?:(?:- |  ).*\n)+)", re.MULTILINE)
"""A group of README's list of pages: its verb, and its items."""
EQUATION = re.compile(r"^(\S.*)\n\n(?=    )", re.MULTILINE)
PAGE = re.compile(r"^- \[(.+?)\]\((\S+?)\.\w+\)", re.MULTILINE)

project = "Exeunt"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
root_doc = "README"
include_patterns = ["*.md", "docs/**.md"]
# The questions of a study are read beside its sweep file.
exclude_patterns = [".*", "build", "dist", "runs", "docs/studies/*/questions.md"]
extensions = ["myst_parser", "sphinx.ext.autodoc"]
default_role = "code"  # docstrings have code in single backticks
autodoc_member_order = "bysource"
myst_heading_anchors = 4
html_theme = "furo"
html_title = f"Exeunt {version}"
html_theme_options = {"light_css_variables": {"code-font-size": "75%"}}
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False


def add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    """Add the pages that README lists to the side bar, in the same order."""
    if page == app.config.root_doc:
        for verb, items in GROUP.findall(source[0]):
            entries = "\n".join(f"{title} <{name}>" for title, name in PAGE.findall(items))
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {verb}\n\n{entries}\n```\n"


def unlink_directories(app: Sphinx, document: nodes.document) -> None:
    """Replace links to directories of the repository by their text, because the site does not contain them."""
    for link in list(document.findall(pending_xref)):
        if link["reftype"] == "myst" and Path(app.env.relfn2path(link["reftarget"])[1]).is_dir():
            link.replace_self(link.children)


def read_docstring(_app: Sphinx, what: str, name: str, obj: object, _options: object, lines: list[str]) -> None:
    """Convert a docstring: its sections, and its indented equations.

    Docstrings of fields have no sections; a colon in their sentence would be read as one.
    """
    if what not in ("attribute", "property", "data"):
        text = EQUATION.sub(r"\1\n\n::\n\n", "\n".join(lines))
        lines[:] = GoogleDocstring(text, what=what, name=name, obj=obj).lines()


def copy_first_page(app: Sphinx, failure: Exception | None) -> None:
    """Copy the first page to `index.html`, which servers and readers open."""
    if not failure:
        shutil.copyfile(app.outdir / f"{app.config.root_doc}.html", app.outdir / "index.html")


def setup(app: Sphinx) -> None:
    """Connect the functions above to Sphinx."""
    app.connect("source-read", add_navigation)
    app.connect("doctree-read", unlink_directories)
    app.connect("autodoc-process-docstring", read_docstring)
    app.connect("build-finished", copy_first_page)
