"""Plant each fault of the TOML files in this directory, and check that the tests catch it: `make faults`.

A fault replaces one passage of one file of the product. It is planted in a copy of the checkout. The tests of the fault
must fail in this copy, and must pass without the fault. Add a fault when you move, merge or speed up a test.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("specs", "losses", "models", "store", "training", "sweep", "results", "api", "configs")
TIMEOUT_S = 600.0
PYTEST_FAILED = 1
"""Exit status of pytest if tests ran and some failed."""
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", flags=re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Passage of the product, its replacement, and the tests that must fail with it."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    """Arguments of pytest: files or single tests."""

    def plant(self, root: Path) -> None:
        """Replace the passage in a copy of the checkout. Raise `ValueError` unless it occurs exactly once."""
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        if (count := text.count(self.old)) != 1:
            raise ValueError(f"{self.name}: {self.file} has the passage {count} times, not once:\n{self.old}")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Outcome of one run of pytest."""

    fault: str
    caught: bool
    reason: str
    seconds: float


def read_faults(folder: Path) -> list[Fault]:
    """Read the faults of all TOML files in a directory. Raise `ValueError` if two faults have the same name."""
    faults = [
        Fault(**{**entry, "tests": tuple(entry["tests"])})
        for path in sorted(folder.glob("*.toml"))
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["fault"]
    ]
    names = [fault.name for fault in faults]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"several faults have the same name: {', '.join(repeated)}")
    return faults


@contextmanager
def copy_of_checkout() -> Iterator[Path]:
    """Copy the tracked and the unignored files, and make `import exeunt` find the copy instead of the checkout."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    with tempfile.TemporaryDirectory(prefix="exeunt-fault-") as folder:
        root = Path(folder)
        for name in filter(None, names):
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, root / name)
        (root / "exeunt").mkdir()
        (root / "exeunt" / "__init__.py").symlink_to(root / "api" / "exeunt" / "__init__.py")
        for package in PACKAGES:
            (root / "exeunt" / package).symlink_to(root / package)
        yield root


def run_tests(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a copy. Raise `subprocess.TimeoutExpired` after `TIMEOUT_S` seconds."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


def try_fault(fault: Fault) -> Outcome:
    """Plant a fault and run its tests until the first one fails."""
    began = time.monotonic()
    with copy_of_checkout() as root:
        fault.plant(root)
        try:
            ran = run_tests(root, "--numprocesses=0", "--exitfirst", *fault.tests)
        except subprocess.TimeoutExpired:
            return Outcome(
                fault=fault.name,
                caught=False,
                reason=f"no result after {TIMEOUT_S:.0f} s",
                seconds=time.monotonic() - began,
            )
    failed = FAILED.search(ran.stdout)
    caught = ran.returncode == PYTEST_FAILED and failed is not None
    last = (ran.stdout.strip() or ran.stderr.strip()).splitlines()[-1:]
    reason = failed.group(1) if caught and failed else f"pytest ended with {ran.returncode}: {' '.join(last)}"
    return Outcome(fault=fault.name, caught=caught, reason=reason, seconds=time.monotonic() - began)


def check_without_faults(faults: list[Fault]) -> bool:
    """Run the tests of all faults in a copy without faults; print the failures."""
    tests = sorted({test for fault in faults for test in fault.tests})
    with copy_of_checkout() as root:
        ran = run_tests(root, *tests)
    if ran.returncode:
        print(ran.stdout[-5000:], ran.stderr[-2000:], sep="\n")
    return ran.returncode == 0


def main() -> int:
    """Try the named faults, or all. Return 0 if each was caught, otherwise 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="FAULT", help="names of faults (default: all)")
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        help="number of faults that are tried at the same time (default: number of cores)",
    )
    parser.add_argument("--skip-clean", action="store_true", help="no test run without faults first")
    arguments = parser.parse_args()
    faults = read_faults(Path(__file__).parent)
    if unknown := set(arguments.names) - {fault.name for fault in faults}:
        parser.error(f"unknown fault: {', '.join(sorted(unknown))}")
    chosen = [fault for fault in faults if fault.name in arguments.names] if arguments.names else faults
    if not arguments.skip_clean and not check_without_faults(chosen):
        print("These tests fail without a fault.")
        return 1
    missed = 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for outcome in pool.map(try_fault, chosen):
            missed += not outcome.caught
            print(
                f"{'caught' if outcome.caught else 'MISSED'}  {outcome.fault}  {outcome.reason}  "
                f"{outcome.seconds:.0f} s",
                flush=True,
            )
    print(f"{len(chosen) - missed} of {len(chosen)} faults caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
