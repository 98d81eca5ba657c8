"""Make a release: `make release VERSION=0.2.0`, or `make release VERSION=0.2.0 ARGS=--dry-run`.

The release is made in a temporary clone, so that a failure leaves this checkout as it was. It is one commit, which sets
the version and closes the section [Unreleased] of the changelog, and an annotated tag. `dist/` gets wheel and source
distribution. Nothing is pushed or uploaded; the last lines name the commands.
"""

import argparse
import datetime
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
UNRELEASED = "## [Unreleased]\n"
NAMED = {
    "pyproject.toml": r'(?m)^(version = ")(.+)(")$',
    "CITATION.cff": r"(?m)^(version: )(.+)()$",
}
"""Pattern of the version in each file that names it, with the text before and after."""
DATED = r'(?m)^(date-released: ")(.+)(")$'

PLACEHOLDER = "example.org"
"""Domain of the addresses in `pyproject.toml` until the owner has written the real ones."""


class ReleaseError(Exception):
    """Reason why there is no release."""


def main() -> int:
    """Make the release, or explain in one line why there is none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="new version, such as 0.2.0")
    parser.add_argument("--dry-run", action="store_true", help="leave out `.ci/run`, and keep nothing")
    options = parser.parse_args()
    try:
        release(options.version, dry_run=options.dry_run)
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


def release(version: str, *, dry_run: bool) -> None:
    """Check the checkout, then write, build, check and tag the release in a clone; fetch it unless `dry_run`."""
    tag = f"v{version}"
    check(version, tag, dry_run=dry_run)
    if dry_run:
        print("would run: .ci/run")
    else:
        run(".ci/run", cwd=ROOT)
    with tempfile.TemporaryDirectory(prefix="exeunt-release-") as folder:
        clone = Path(folder) / "exeunt"
        run("git", "clone", "--quiet", ROOT, clone, cwd=ROOT)
        notes = write_version(clone, version, datetime.datetime.now(datetime.UTC).date().isoformat())
        # With the setuptools of constraints.txt, which the tests of the release have used.
        run(BIN / "uv", "build", "--quiet", "--no-build-isolation", "--python", sys.executable, cwd=clone)
        built = sorted(clone.glob(f"dist/exeunt-{version}[-.]*"))
        if len(built) != 2:
            raise ReleaseError(f"not one wheel and one sdist of {version} were built: {built}.")
        run(BIN / "twine", "check", "--strict", *built, cwd=clone)
        for name in ("user.name", "user.email"):  # a clone has only the settings of the user, not of the checkout
            run("git", "config", name, read("git", "config", name, cwd=ROOT), cwd=clone)
        run("git", "commit", "--quiet", "--all", "--message", f"Release {version}", cwd=clone)
        message = f"Exeunt {version}\n\n{notes}"
        run("git", "tag", "--annotate", "--cleanup=verbatim", "--message", message, tag, cwd=clone)
        print(read("git", "show", "--stat", "--format=%s", "HEAD", cwd=clone))
        if dry_run:
            print(f"dry run: {tag} with {', '.join(path.name for path in built)} is not kept. Its notes:\n\n{notes}")
            return
        run("git", "pull", "--quiet", "--ff-only", "--tags", clone, "HEAD", cwd=ROOT)
        (ROOT / "dist").mkdir(exist_ok=True)
        for path in built:
            shutil.copy(path, ROOT / "dist")
    print(f"{tag} is tagged, and dist/ has its files. To publish: git push --follow-tags, then {BIN / 'twine'} upload")


def check(version: str, tag: str, *, dry_run: bool) -> None:
    """Raise `ReleaseError` unless the version is new, the changelog has news, and every change is committed.

    A dry run accepts the placeholders of `pyproject.toml`.
    """
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (current,) = re.findall(NAMED["pyproject.toml"], project)
    try:
        is_newer = str(Version(version)) == version and Version(version) > Version(current[1])
    except InvalidVersion:
        is_newer = False
    if not is_newer:
        raise ReleaseError(f"{version!r} is no version after {current[1]}; give one such as 1.2.0 or 1.2.0rc1.")
    if read("git", "tag", "--list", tag, cwd=ROOT):
        raise ReleaseError(f"the tag {tag} exists; choose the next version.")
    if changed := read("git", "status", "--porcelain", cwd=ROOT):
        raise ReleaseError(f"commit or remove these changes first:\n{changed}")
    if not dry_run and PLACEHOLDER in project:
        raise ReleaseError(f"pyproject.toml has placeholders with {PLACEHOLDER}; write the owner's addresses there.")
    if not unreleased((ROOT / "CHANGELOG.md").read_text(encoding="utf-8")):
        raise ReleaseError("CHANGELOG.md has nothing below [Unreleased]; describe the changes there.")


def unreleased(changelog: str) -> str:
    """Return the text of the section [Unreleased]; empty if there is none."""
    return changelog.partition(UNRELEASED)[2].partition("\n## [")[0].strip()


def write_version(root: Path, version: str, date: str) -> str:
    """Write version and date into the files that name them; return the section of the changelog."""
    changelog = root / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8")
    changelog.write_text(text.replace(UNRELEASED, f"{UNRELEASED}\n## [{version}] - {date}\n", 1), encoding="utf-8")
    for name, pattern in NAMED.items():
        put(root / name, pattern, version)
    put(root / "CITATION.cff", DATED, date)
    return unreleased(text)


def put(path: Path, pattern: str, value: str) -> None:
    """Replace the second group of the only match of a pattern."""
    text, count = re.subn(pattern, rf"\g<1>{value}\g<3>", path.read_text(encoding="utf-8"))
    if count != 1:
        raise ReleaseError(f"{path.name} matches {pattern!r} {count} times, not once.")
    path.write_text(text, encoding="utf-8")


def run(*words: str | Path, cwd: Path) -> None:
    """Run a program; its failure is a `ReleaseError`."""
    ran = subprocess.run(words, cwd=cwd, check=False)
    if ran.returncode:
        raise ReleaseError(f"{' '.join(map(str, words[:3]))} ended with {ran.returncode}; see its output above.")


def read(*words: str | Path, cwd: Path) -> str:
    """Return what a program prints, without its last line break."""
    return subprocess.run(words, cwd=cwd, check=False, capture_output=True, text=True).stdout.rstrip("\n")


if __name__ == "__main__":
    sys.exit(main())
