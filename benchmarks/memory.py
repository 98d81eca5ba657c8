"""Peak memory of this process and of the processes that it starts."""

import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_INTERVAL_S = 0.5


@dataclass(kw_only=True)
class Peaks:
    """Largest sums of the proportional set sizes (PSS), in bytes.

    The PSS of a process counts a page that n processes share as 1/n page, so sums count each page once.
    """

    driver: int = 0
    """This process."""
    without_workers: int = 0
    """This process and the processes that it has started, except those of Ray that run or await trials."""
    everything: int = 0
    """This process and all processes that it has started."""

    _workers: set[int] = field(default_factory=set, repr=False)

    def sample(self) -> None:
        """Measure the processes that exist now."""
        others = descendants(os.getpid())
        # A worker has changing titles, and for a moment none.
        self._workers.update(pid for pid in others if "default_worker.py" in (title := _title(pid)) or "ray::" in title)
        pss = {pid: _pss(pid) for pid in (os.getpid(), *others)}
        self.driver = max(self.driver, pss[os.getpid()])
        self.without_workers = max(self.without_workers, sum(pss[pid] for pid in pss.keys() - self._workers))
        self.everything = max(self.everything, sum(pss.values()))

    def to_dict(self) -> dict[str, float]:
        """Return the sums by name."""
        return {"driver": self.driver, "without_workers": self.without_workers, "everything": self.everything}


@contextmanager
def peak_memory() -> Iterator[Peaks]:
    """Measure every `SAMPLE_INTERVAL_S` seconds inside the context."""
    peaks, ended = Peaks(), threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_INTERVAL_S):
            peaks.sample()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


def _pss(pid: int) -> int:
    """Return the PSS of a process in bytes; 0 if it has ended."""
    with suppress(OSError):
        content = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
        return 1024 * int(content.split("\nPss:")[1].split()[0])
    return 0


def _title(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    return ""


def descendants(root: int) -> list[int]:
    """Return the processes that a process has started, and those that these have started."""
    children = defaultdict[int, list[int]](list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]
            children[int(parent)].append(int(stat.parent.name))
    found = [root]
    for pid in found:
        found += children[pid]
    return found[1:]
