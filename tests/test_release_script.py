"""`.ci/release.py` in a small repository, and what it writes into the files of this one."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).parents[1]
SCRIPT = CHECKOUT / ".ci" / "release.py"
if not SCRIPT.exists():
    pytest.skip("a source distribution has no release script", allow_module_level=True)

FILES = {
    "pyproject.toml": """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "exeunt"
version = "0.1.0"
description = "Small project"
readme = "README.md"

[tool.setuptools]
py-modules = ["small"]
""",
    "README.md": "# Small\n",
    "small.py": "",
    "CITATION.cff": 'cff-version: 1.2.0\nversion: 0.1.0\ndate-released: "2026-11-24"\n',
    "CHANGELOG.md": "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- News.\n\n## [0.1.0] - 2026-11-24\n\n- All.\n",
    ".gitignore": "dist/\nbuild/\n*.egg-info/\n",
    ".ci/run": "#!/bin/sh\necho checked\n",
}


class Repository:
    """Git repository with a small project and the release script."""

    def __init__(self, root: Path):
        self.root = root
        (root / ".ci").mkdir(parents=True)
        for name, text in FILES.items():
            (root / name).write_text(text)
        (root / ".ci" / "run").chmod(0o755)
        shutil.copy(SCRIPT, root / ".ci")
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "A")
        self.git("config", "user.email", "a@example.org")
        self.commit()

    def git(self, *words: str) -> str:
        ran = subprocess.run(["git", *words], cwd=self.root, check=True, capture_output=True, text=True)
        return ran.stdout.strip()

    def commit(self):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Change")

    def release(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, ".ci/release.py", *words]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        return subprocess.run(command, cwd=self.root, env=clean, check=False, capture_output=True, text=True)


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "repository")


@pytest.mark.slow
def test_a_dry_run_shows_the_release_and_keeps_nothing(repository):
    before = repository.git("rev-parse", "HEAD")
    answer = repository.release("0.2.0", "--dry-run")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "would run: .ci/run" in answer.stdout
    assert "v0.2.0 with exeunt-0.2.0-py3-none-any.whl, exeunt-0.2.0.tar.gz is not kept" in answer.stdout
    assert answer.stdout.endswith("### Added\n\n- News.\n")
    assert repository.git("rev-parse", "HEAD") == before
    assert repository.git("tag") + repository.git("status", "--porcelain", "--ignored") == ""


@pytest.mark.slow
def test_a_release_is_checked_built_and_tagged_and_leaves_a_clean_tree(repository):
    answer = repository.release("0.2.0")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout.index("checked") < answer.stdout.index("Release 0.2.0") < answer.stdout.index("git push")
    assert repository.git("rev-parse", "v0.2.0^{commit}") == repository.git("rev-parse", "HEAD")
    assert repository.git("tag", "--list", "--format=%(contents)") == "Exeunt 0.2.0\n\n### Added\n\n- News."
    assert repository.git("status", "--porcelain") == ""
    assert sorted(path.name for path in (repository.root / "dist").iterdir()) == [
        "exeunt-0.2.0-py3-none-any.whl",
        "exeunt-0.2.0.tar.gz",
    ]
    again = repository.release("0.2.1")
    assert again.returncode == 1
    assert again.stderr == "release: CHANGELOG.md has nothing below [Unreleased]; describe the changes there.\n"


def test_checks_that_fail_end_the_release(repository):
    (repository.root / ".ci" / "run").write_text("#!/bin/sh\nexit 3\n")
    repository.commit()
    answer = repository.release("0.2.0")
    assert (answer.returncode, answer.stderr) == (1, "release: .ci/run ended with 3; see its output above.\n")
    assert repository.git("tag") == ""


@pytest.mark.parametrize("version", ["0.1.0", "0.0.9", "next", "v0.2.0", "0.2.0-1"])
def test_a_version_that_is_not_next_is_refused(version, repository):
    answer = repository.release(version, "--dry-run")
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"release: '{version}' is no version after 0.1.0; ")


def test_placeholders_are_for_dry_runs_only(repository):
    with (repository.root / "pyproject.toml").open("a") as file:
        file.write("# https://example.org/exeunt\n")
    repository.commit()
    assert "has placeholders with example.org" in repository.release("0.2.0").stderr


def test_uncommitted_changes_and_a_used_tag_are_refused(repository):
    (repository.root / "new.py").write_text("")
    assert "commit or remove these changes first:\n?? new.py" in repository.release("0.2.0", "--dry-run").stderr
    repository.commit()
    repository.git("tag", "v0.2.0")
    assert "the tag v0.2.0 exists" in repository.release("0.2.0", "--dry-run").stderr


def test_the_files_of_this_checkout_get_the_version_and_the_date(tmp_path):
    for name in ("pyproject.toml", "CITATION.cff", "CHANGELOG.md"):
        shutil.copy(CHECKOUT / name, tmp_path)
    notes = runpy.run_path(str(SCRIPT))["write_version"](tmp_path, "9.8.7", "2031-02-03")
    citation = yaml.safe_load((tmp_path / "CITATION.cff").read_text())
    assert (citation["version"], citation["date-released"]) == ("9.8.7", "2031-02-03")
    assert (tmp_path / "pyproject.toml").read_text().count('\nversion = "9.8.7"\n') == 1
    sections = re.split(r"^## ", (tmp_path / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert [section.splitlines()[0] for section in sections[1:3]] == ["[Unreleased]", "[9.8.7] - 2031-02-03"]
    assert sections[2].partition("\n")[2].strip() == notes
