"""Stage `tests`: the tests with the marker `accelerator`, which need torch, torchvision, numpy and pytest."""

import importlib.util
import re
import subprocess
import sys

from ..settings import ROOT, Notes, Settings, SkippedError

FOLDER = ROOT / "tests" / "accelerator"
OPTIONS = ("--override-ini=addopts=", "--import-mode=importlib", f"--confcutdir={FOLDER}", "-p", "no:cacheprovider")
"""Options with which pytest needs no other package and reads no other conftest.py."""


def run(settings: Settings, notes: Notes) -> None:
    """Run the tests on the GPU; in a rehearsal, run a few of their variants on the CPU."""
    if importlib.util.find_spec("pytest") is None:
        raise SkippedError("pytest is not installed; give a directory that contains it: --vendor DIR")
    chosen = settings.size(["-m", "accelerator"], ["-m", "not accelerator", "-k", "exits_are_measured"])
    command = [sys.executable, "-m", "pytest", str(FOLDER), *OPTIONS, *chosen, "-q", "-rfEs", "--durations=5"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(ran.stdout, ran.stderr)
    counts = {kind: int(number) for number, kind in re.findall(r"(\d+) (passed|failed|skipped|errors?)\b", ran.stdout)}
    for line in re.findall(r"^(?:FAILED|ERROR|SKIPPED) .*", ran.stdout, re.MULTILINE):
        notes.note(line, passed=False)
    green = ran.returncode == 0 and counts.get("passed", 0) > 0 and "skipped" not in counts
    notes.note("tests", passed=green, counts=counts, status=ran.returncode)
