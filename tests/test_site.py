"""The documentation site: every page is in its navigation, all links resolve, and it needs no network."""

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from types import FunctionType
from urllib.parse import unquote, urlsplit

import pytest

from .documents import DOCUMENTS, ROOT, blocks

PAGES = [str(path.relative_to(ROOT)) for path in {*ROOT.glob("*.md"), *DOCUMENTS} - {ROOT / "README.md"}]
LOADED = {"img": "src", "script": "src", "source": "src", "iframe": "src", "link": "href"}
"""Elements that a browser loads with the page, and their attribute."""


class Elements(HTMLParser):
    """Tags of a page with their attributes, and the ids to which links can lead."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    @property
    def ids(self) -> set[str]:
        return {attributes["id"] for _, attributes in self.tags if "id" in attributes}


def test_readme_lists_every_page_once():
    """The navigation of the site is README's list."""
    listed = re.findall(r"^- \[.+?\]\((\S+?)\)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(page for page in PAGES if not page.endswith("questions.md"))


@pytest.fixture(scope="session")
def site(made_once) -> Path:
    """The site, built as `make site` does."""

    def build(folder):
        words = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", "--conf-dir", "docs"]
        words += ["--doctree-dir", folder / "doctrees", ".", folder / "html"]
        built = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (built.returncode, built.stderr) == (0, "")

    return made_once("site", build) / "html"


def pages(site: Path) -> list[Path]:
    """Return the pages, without the HTML files that they link to as files."""
    return sorted(page for page in site.rglob("*.html") if "_downloads" not in page.parts)


def links(site: Path) -> Iterator[tuple[Path, str]]:
    """Iterate over the links and loaded files of all pages."""
    for page in pages(site):
        for tag, attributes in Elements(page).tags:
            if target := attributes.get("href" if tag == "a" else LOADED.get(tag, "")):
                yield page, target


@pytest.mark.nightly
def test_links_of_the_site_resolve(site):
    ids: dict[Path, set[str]] = {}
    for page, target in links(site):
        parts = urlsplit(target)
        if not parts.scheme:
            file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            assert file.is_file(), f"{page.name}: {target}"
            if parts.fragment and file.suffix == ".html" and "_downloads" not in file.parts:
                if file not in ids:
                    ids[file] = Elements(file).ids
                assert unquote(parts.fragment) in ids[file], f"{page.name}: {target}"


IMPORT = re.compile(r"^from (exeunt\S*) import (.+)$", re.MULTILINE)


@pytest.mark.nightly
def test_the_reference_has_what_packages_export_and_pages_import(site):
    modules = ["exeunt.losses", "exeunt.losses.functional", "exeunt.models", "exeunt.training", "exeunt.results"]
    public = [(name, member) for name in modules for member in getattr(import_module(name), "__all__", [])]
    code = "".join(block.text for document in DOCUMENTS for block in blocks(document) if block.language == "python")
    public += [(name, member) for name, members in IMPORT.findall(code) for member in members.split(", ")]
    ids = Elements(site / "docs" / "reference.html").ids
    missing = {
        f"{module}.{member}"
        for module, member in public
        if isinstance(getattr(import_module(module), member), FunctionType | type) and f"{module}.{member}" not in ids
    }
    assert missing == set()


@pytest.mark.nightly
def test_a_reader_finds_a_page_without_a_network(site, browser):
    """A browser opens the files themselves, and requests nothing else."""
    sync = pytest.importorskip("playwright.sync_api")
    requested: list[str] = []
    page = browser.new_page()
    page.on("request", lambda request: requested.append(request.url))
    page.goto((site / "index.html").as_uri())
    assert page.locator(".sidebar-tree .caption-text").all_text_contents() == ["Learn", "Do", "Look up", "Understand"]
    page.locator(".sidebar-search").fill("fencing")
    page.locator(".sidebar-search").press("Enter")
    sync.expect(page.locator("#search-results li a").first).to_be_visible(timeout=60_000)
    assert re.search(r"Exeunt \d+\.\d+", page.title())
    for file in pages(site):
        page.goto(file.as_uri())
    assert [url for url in requested if not url.startswith(("file:", "data:"))] == []


@pytest.mark.nightly
def test_one_page_is_two_printed_pages(site, browser):
    page = browser.new_page()
    page.goto((site / "docs" / "one-page.html").as_uri())
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))) <= 2
