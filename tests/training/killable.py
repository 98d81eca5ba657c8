"""Training in separate processes that kill themselves at a given moment; a forkserver has imported all modules."""

import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path

from exeunt.store import TrialFiles
from exeunt.training import TrialSpec, train

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([__name__])


class Training:
    """Training in a separate process."""

    def __init__(
        self, trial: TrialSpec, folder: Path, *, checkpoint_minutes: float = 0.0, moment: str = "", fatal: str = ""
    ) -> None:
        """Start the process; it kills itself at the event `moment`, `open` or `os.rename`, of a file `fatal...`."""
        self._errors = folder.with_name(f"{folder.name}.stderr")
        words = json.dumps(trial.to_dict()), folder, checkpoint_minutes, moment, fatal, self._errors
        self._process = _forks.Process(target=_train, args=words, daemon=True)
        self._process.start()

    def is_running(self) -> bool:
        """Return True if the process is running."""
        return self._process.is_alive()

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def finish(self, timeout_s: float = 120.0) -> tuple[int | None, str]:
        """Wait for the process; return its exit status, or minus the signal that killed it, and its stderr."""
        self._process.join(timeout_s)
        return self._process.exitcode, self._errors.read_text()


def _train(trial: str, folder: Path, checkpoint_minutes: float, moment: str, fatal: str, errors: Path) -> None:
    def die(event: str, arguments: tuple[object, ...]) -> None:
        path = {"open": arguments[:1], "os.rename": arguments[1:2]}.get(event, ())
        if path and event == moment and os.path.basename(str(path[0])).lstrip(".").startswith(fatal):  # noqa: PTH119
            os.kill(os.getpid(), signal.SIGKILL)

    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), sys.stderr.fileno())
    sys.addaudithook(die)
    train(
        TrialSpec.from_dict(json.loads(trial)),
        TrialFiles(folder),
        device="cpu",
        checkpoint_minutes=checkpoint_minutes,
    )
