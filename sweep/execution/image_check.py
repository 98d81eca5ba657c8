"""Check of all images and of first training steps before the first trial, in another process.

Importing PyTorch takes seconds and 0.5 GB, and nothing else in a driver needs it. A first step runs code of users,
which can end its process.
"""

import os
import pickle
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from ...specs import SpecError
from ...specs.text import PrintableStream
from ...training import DatasetSpec, DataSource, TrialSpec
from ...training.plugins import plugins_in_use, use
from ..planning.first_steps import FirstStep

STEP_LIMIT_S = 300.0
"""Seconds within which a first training step has to end."""

WaitFor = Callable[[str], None]
"""Function that is called with the name of what a process waits for."""


@contextmanager
def images_read(
    read: Collection[DatasetSpec], source: DataSource, tried: Sequence[FirstStep] = ()
) -> Iterator[Callable[[WaitFor], None]]:
    """Read all images of datasets, then try first steps, while the caller continues. Missing files are downloaded once.

    The context yields a function that waits until all is done. It raises `SpecError` if images are missing or damaged,
    or if a step fails. If there is no step and this process has loaded PyTorch already, this function reads the images.
    """
    if "torch" in sys.modules and not tried:
        yield lambda wait_for: _read_here(read, source, wait_for)
        return
    # In a session of its own, Ctrl-C does not reach it.
    command = [sys.executable, "-m", __name__]
    reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert reader.stdin is not None
    assert reader.stdout is not None
    pickle.dump((read, source, tried, plugins_in_use()), reader.stdin)
    reader.stdin.flush()
    answers = reader.stdout
    try:
        yield lambda wait_for: _await(read, tried, answers, wait_for)
    finally:
        reader.kill()
        reader.wait()
        reader.stdin.close()
        answers.close()


def _read_here(read: Collection[DatasetSpec], source: DataSource, wait_for: WaitFor) -> None:
    for dataset in read:
        wait_for(f"the images of {dataset.name}")
        dataset.facts.load(source)


def _await(read: Collection[DatasetSpec], tried: Sequence[FirstStep], answers: IO[Any], wait_for: WaitFor) -> None:
    for dataset in read:
        wait_for(f"the images of {dataset.name}")
        rule = f"the process that read the images of {dataset.name} died; this machine may have too little free memory"
        died = SpecError(f"{rule}. Free memory, then run the same command again.", field="dataset")
        _raise_problem(answers, died, None)
    for step in tried:
        wait_for(f"a first training step of {step.label}")
        rule = f"the process that tried a first training step of {step.label} died"
        died = SpecError(f"{rule}. Correct the code that ends it, or start the sweep with --no-try.")
        rule = f"a first training step of {step.label} took more than {STEP_LIMIT_S:.0f} s"
        _raise_problem(answers, died, SpecError(f"{rule}. Correct its code, or start the sweep with --no-try."))


def _raise_problem(answers: IO[Any], died: SpecError, late: SpecError | None) -> None:
    """Raise the next answer of the other process, if it is an error.

    Args:
        answers: Output of the process.
        died: Error if the process has ended.
        late: Error if there is no answer within `STEP_LIMIT_S`; None to wait without a limit.
    """
    if late is not None and not select.select([answers], [], [], STEP_LIMIT_S)[0]:
        raise late
    try:
        problem = pickle.load(answers)
    except EOFError:
        raise died from None
    if problem is not None:
        raise problem


def _main() -> None:
    """Read datasets in turn; answer None for each that is complete, otherwise the error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # for libraries that print
    sys.stdout = sys.stderr = PrintableStream(sys.stderr)
    read, source, tried, plugins = pickle.load(sys.stdin.buffer)
    use(plugins)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for dataset in read:
        problem = None
        try:
            dataset.facts.load(source)
        except Exception as error:
            problem = error
        pickle.dump(problem, answers)
        answers.flush()
    for step in tried:
        pickle.dump(_failure(step, source), answers)
        answers.flush()


def _failure(step: FirstStep, source: DataSource) -> SpecError | None:
    """Return the error of a first training step, or None."""
    from ...training.first_step import first_step  # noqa: PLC0415 (imports torch)

    try:
        use(step.plugins)
        first_step(TrialSpec.from_dict(step.spec), source)
    except SpecError as error:
        return error
    return None


def _end_with_parent() -> None:
    sys.stdin.buffer.read()  # ends when the parent does
    os._exit(1)


if __name__ == "__main__":
    _main()
