"""Check of all images before the first trial. A driver without PyTorch leaves it to another process.

Importing PyTorch takes seconds and 0.5 GB, and nothing else in a driver needs it.
"""

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import IO, Any

from ...specs import SpecError
from ...training import DataSource, datasets
from ...training.plugins import plugins_in_use, use

WaitFor = Callable[[str], None]
"""Function that is called with the name of what a process waits for."""


@contextmanager
def images_read(names: Collection[str], source: DataSource) -> Iterator[Callable[[WaitFor], None]]:
    """Read all images of datasets while the caller continues. Missing files are downloaded once.

    The context yields a function that waits until all are read, and raises `SpecError` if images are missing or
    damaged. If this process has loaded PyTorch already, this function reads them.
    """
    if "torch" in sys.modules:
        yield lambda wait_for: _read_here(names, source, wait_for)
        return
    # In a session of its own, Ctrl-C does not reach it.
    command = [sys.executable, "-m", __name__]
    reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert reader.stdin is not None
    assert reader.stdout is not None
    pickle.dump((names, source, plugins_in_use()), reader.stdin)
    reader.stdin.flush()
    answers = reader.stdout
    try:
        yield lambda wait_for: _await(names, answers, wait_for)
    finally:
        reader.kill()
        reader.wait()
        reader.stdin.close()
        answers.close()


def _read_here(names: Collection[str], source: DataSource, wait_for: WaitFor) -> None:
    for name in names:
        wait_for(f"the images of {name}")
        datasets[name].load(source)


def _await(names: Collection[str], answers: IO[Any], wait_for: WaitFor) -> None:
    for name in names:
        wait_for(f"the images of {name}")
        try:
            problem = pickle.load(answers)
        except EOFError:
            rule = f"the process that read the images of {name} died; this machine may have too little free memory"
            raise SpecError(f"{rule}. Free memory, then run the same command again.", field="dataset") from None
        if problem is not None:
            raise problem


def _main() -> None:
    """Read datasets in turn; answer None for each that is complete, otherwise the error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # for libraries that print
    names, source, plugins = pickle.load(sys.stdin.buffer)
    use(plugins)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name in names:
        problem = None
        try:
            datasets[name].load(source)
        except Exception as error:
            problem = error
        pickle.dump(problem, answers)
        answers.flush()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()  # ends when the parent does
    os._exit(1)


if __name__ == "__main__":
    _main()
