"""Files for GitHub and pre-commit: what they run exists, and installing them promises no index of packages."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).parents[1]
PARTS = ("specs", "losses", "models", "store", "training", "sweep", "results", "api")
WORKFLOW = CHECKOUT / ".github" / "workflows" / "checks.yml"
if not WORKFLOW.exists():
    pytest.skip("a source distribution has no files for GitHub", allow_module_level=True)


def targets() -> set[str]:
    """Return the targets of the Makefile."""
    return set(re.findall(r"^([a-z]+):", (CHECKOUT / "Makefile").read_text(), flags=re.MULTILINE))


def test_workflows_run_what_exists():
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"].values()
    commands = [line for job in jobs for step in job["steps"] for line in step.get("run", "").splitlines()]
    assert {line.split()[1] for line in commands if line.startswith("make ")} <= targets()
    assert ".ci/run" in commands
    assert os.access(CHECKOUT / ".ci" / "run", os.X_OK)
    assert any("deploy/Dockerfile" in line for line in commands)


def test_hooks_of_pre_commit_are_the_checks_of_make_lint():
    (local,) = yaml.safe_load((CHECKOUT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"  # no download
    hooks = [hook["entry"].split() for hook in local["hooks"]]
    shown = subprocess.run(["make", "--dry-run", "lint"], cwd=CHECKOUT, check=True, capture_output=True, text=True)
    linted = [line.split() for line in shown.stdout.splitlines() if line.startswith(".venv/bin/")]
    checks = [[word for word in words if not word.startswith("--")] for words in linted[-5:]]
    assert [[word for word in words if not word.startswith("--")] for words in hooks] == checks


def test_forms_and_pages_for_contributors_are_complete():
    for form in (CHECKOUT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        content = yaml.safe_load(form.read_text())
        assert form.name == "config.yml" or content.keys() >= {"name", "description", "body"}
    for page in ("SECURITY.md", "CODE_OF_CONDUCT.md"):
        links = re.findall(r"\]\(([^)#]+)", (CHECKOUT / page).read_text())
        assert all((CHECKOUT / link).exists() for link in links)


def test_no_page_promises_an_index_of_packages():
    """`pip install 'exeunt[extra]'` adds to an installed Exeunt; without an extra, it would look for one elsewhere."""
    pages = [*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md"), *CHECKOUT.glob("examples/*")]
    sources = [path for part in PARTS for path in (CHECKOUT / part).rglob("*.py")]
    for path in (*pages, *sources):
        found = re.search(
            r"(?:pip install|uvx|uv tool install|uv add|pipx run)\s+['\"]?exeunt(?![\w\[*-])", path.read_text()
        )
        assert found is None, path
