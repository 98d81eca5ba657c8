"""Benchmark of the quickstart as a user runs it, each command in a separate process."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rows import report

SWEEP_FILE = Path(__file__).parent.parent / "configs" / "quickstart.yaml"


def exeunt(*arguments: str) -> subprocess.Popen[bytes]:
    """Start `exeunt` with these arguments."""
    command = [sys.executable, "-m", "exeunt.sweep", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def seconds_of(process: subprocess.Popen[bytes], started: float) -> float:
    """Return the seconds from `started` to the end of a process. Raise `RuntimeError` if it failed."""
    if process.wait() != 0:
        raise RuntimeError(f"{process.args} ended with {process.returncode}")
    return time.perf_counter() - started


def main() -> None:
    """Measure and report."""
    helps = []
    for _ in range(5):
        started = time.perf_counter()
        helps.append(seconds_of(exeunt("--help"), started))
    report("quickstart: exeunt --help, median of 5", statistics.median(helps), "s")
    with tempfile.TemporaryDirectory() as storage:
        started = time.perf_counter()
        process = exeunt("sweep", str(SWEEP_FILE), "--storage", storage)
        for file, moment in (
            ("spec.json", "first training begins after"),
            ("history.jsonl", "first epoch is kept after"),
        ):
            while not list(Path(storage).glob(f"trials/*/{file}")):
                time.sleep(0.02)
            report(f"quickstart: {moment}", time.perf_counter() - started, "s")
        report("quickstart: sweep of 16 trials", seconds_of(process, started), "s")
        started = time.perf_counter()
        report(
            "quickstart: same sweep again",
            seconds_of(exeunt("sweep", str(SWEEP_FILE), "--storage", storage), started),
            "s",
        )


if __name__ == "__main__":
    main()
