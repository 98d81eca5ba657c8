"""Training of one trial in several processes, with PyTorch's distributed package.

The processes of each machine are started and watched by one process there. That of rank 0 also watches the others.

Ray Train's TorchTrainer would need a second placement group, and it added 20 s to a trial.
"""

import datetime
import multiprocessing
import os
import pickle
import signal
import socket
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch.distributed import TCPStore  # pyright: ignore[reportPrivateImportUsage] (documented)

from ...store import Record, TrialFiles
from ...training import OutOfMemoryError, TrainingInterrupted, TrialSpec, train
from ...training.environment import prepare_deterministic
from ...training.plugins import Plugin, plugins_in_use, use

COLLECTIVE_TIMEOUT = datetime.timedelta(hours=1)
"""Time that processes wait for each other: the first one may download a dataset or upload a checkpoint meanwhile."""
POLL_INTERVAL_S = 0.2
"""Seconds between two checks of the stop request."""
ERROR_WAIT_S = 1.0
"""Seconds after a failure in which the other processes can report theirs."""
MACHINE_WAIT_S = 90.0
"""Seconds after a failure in which Ray reports the failure of another machine, which may be the cause."""
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """Address at which the processes of a trial find each other, on the machine of rank 0."""

    host: str
    port: int
    processes: int
    """Number of processes on all machines."""


class ProcessDiedError(Exception):
    """Exit of one of a trial's processes without a result, for example after SIGKILL."""


class NodeFailedError(Exception):
    """Failure of another machine that trains the trial."""


class Members(Protocol):
    """Processes of a trial that report together: one of this machine, or all of another."""

    is_remote: bool

    def terminate(self) -> None:
        """Make the processes stop with a checkpoint, unless those of this machine make them."""
        ...

    def kill(self) -> None:
        """End the processes at once."""
        ...

    def join(self) -> None:
        """Wait until the processes have ended."""
        ...

    def death(self) -> Exception:
        """Return why the processes ended without a report."""
        ...


ByConnection = dict[Any, Members]
"""Processes by their connection, whose type differs between operating systems."""
Elsewhere = Callable[[Meeting], ByConnection]
"""Function that starts the processes of the other machines."""


class _Process:
    """Process of this machine."""

    is_remote = False

    def __init__(self, process: SpawnProcess) -> None:
        self.terminate, self.kill, self.join = process.terminate, process.kill, process.join
        self._process = process

    def death(self) -> Exception:
        self._process.join()
        if self._process.exitcode == -signal.SIGTERM:  # SIGTERM arrived before its handler was set
            return TrainingInterrupted("stopped before the first step")
        status = self._process.exitcode or 0
        cause = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return ProcessDiedError(f"one of the trial's processes died: {cause}")


def train_together(
    trial: TrialSpec,
    files: TrialFiles,
    *,
    processes: int,
    nodes: int = 1,
    host: str = LOOPBACK,
    elsewhere: Elsewhere = lambda meeting: {},  # noqa: ARG005
    **settings: Any,
) -> Record:
    """Train a network as `train` does, in new processes that end with this one and with each other.

    Args:
        trial: trial to train.
        files: directory of the trial's files.
        processes: number of processes on all machines.
        nodes: number of machines, each with equally many processes; this one has the first ranks.
        host: IP address of this machine for the processes of all machines.
        elsewhere: function that starts the processes of the other machines.
        settings: further arguments of `train_share`.

    Raises:
        NodeFailedError: if another machine failed.
        ProcessDiedError: if a process ended without a result.
        Exception: the exception that `train` raised in a process.
    """
    with socket.create_server((host, 0)) as server:
        port = server.getsockname()[1]
        # It listens on this address alone, and the processes can connect as long as this object exists.
        meeting_point = TCPStore(host, port, is_master=True, wait_for_workers=False, master_listen_fd=server.detach())
    meeting = Meeting(host=host, port=meeting_point.port, processes=processes)
    return train_share(trial, files, meeting=meeting, ranks=range(processes // nodes), elsewhere=elsewhere, **settings)


def train_share(
    trial: TrialSpec,
    files: TrialFiles,
    *,
    meeting: Meeting,
    ranks: range,
    device: str,
    stop: Callable[[], bool],
    on_epoch: Callable[[Record], None] = lambda record: None,  # noqa: ARG005
    elsewhere: Elsewhere = lambda meeting: {},  # noqa: ARG005
    **settings: Any,
) -> Record:
    """Train in the processes of this machine, and wait for them and those of other machines.

    Args:
        trial: trial to train.
        files: directory of the trial's files.
        meeting: address at which all processes find each other.
        ranks: ranks of the processes of this machine.
        device: `cpu`, or `cuda` if each process uses a GPU of its own: the first process the first, and so on.
        stop: function that returns True to stop; it is called several times a second.
        on_epoch: function that is called with each epoch's record.
        elsewhere: function that starts the processes of the other machines.
        settings: further arguments of `train`, the same for each process.

    Returns:
        The result of the first of these processes.
    """
    spawn = multiprocessing.get_context("spawn")
    members: ByConnection = {}
    try:
        for gpu, rank in enumerate(ranks):
            listener, speaker = spawn.Pipe(duplex=False)
            arguments = {"files": files, "device": f"cuda:{gpu}" if device == "cuda" else "cpu", **settings}
            what = trial.located, plugins_in_use()  # a plugin has to be loaded before its methods are parsed
            process = spawn.Process(target=_take_part, args=(what, meeting, rank, arguments, speaker))
            members[listener] = _Process(process)
            process.start()
            speaker.close()  # the child has the only copy, so its exit closes the pipe
        members |= elsewhere(meeting)
        return _outcome(members, on_epoch, stop)
    finally:
        for member in members.values():
            member.kill()
        for member in members.values():
            member.join()


def _outcome(members: ByConnection, on_epoch: Callable[[Record], None], stop: Callable[[], bool]) -> Record:
    """Return the first process's result once all have one. Raises the failure that caused the others."""
    listening = list(members)
    results: dict[Any, Record] = {}
    failures: list[Exception] = []
    told = False
    while listening:
        heard = wait(listening, timeout=_patience(failures, [members[one] for one in listening]))
        if failures and not heard:
            break
        if stop() and not told:
            told = True
            for member in members.values():
                member.terminate()
        for speaking in [connection for connection in listening if connection in heard]:
            try:
                kind, content = speaking.recv()
            except EOFError:
                listening.remove(speaking)
                if speaking not in results:
                    failures.append(members[speaking].death())
                continue
            match kind:
                case "epoch":
                    on_epoch(content)
                case "result":
                    results[speaking] = content
                case "error":
                    listening.remove(speaking)
                    failures.append(content)
    if failures:
        raise next(filter(_is_cause, failures), failures[0])
    return results[next(iter(members))]


def _patience(failures: list[Exception], silent: list[Members]) -> float:
    """Return the seconds to wait for the next message of these processes after these failures."""
    if not failures:
        return POLL_INTERVAL_S
    explained = any(map(_is_cause, failures))
    return ERROR_WAIT_S if explained or not any(member.is_remote for member in silent) else MACHINE_WAIT_S


def _is_cause(failure: Exception) -> bool:
    """Return True unless a process may have failed only because another one has exited."""
    return isinstance(failure, NodeFailedError | ProcessDiedError | TrainingInterrupted | OutOfMemoryError)


def _take_part(
    what: tuple[Record, tuple[Plugin, ...]],
    meeting: Meeting,
    rank: int,
    arguments: dict[str, Any],
    speaker: Connection,
) -> None:
    """Train in one of the processes, and send epochs and the result or the error to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        spec, plugins = what
        device = torch.device(arguments["device"])
        if spec["recipe"].get("deterministic"):
            prepare_deterministic(device)
        if device.type == "cuda":
            torch.cuda.set_device(device)
        store = TCPStore(meeting.host, meeting.port, timeout=COLLECTIVE_TIMEOUT)
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=store,
            rank=rank,
            world_size=meeting.processes,
            timeout=COLLECTIVE_TIMEOUT,
            device_id=device if device.type == "cuda" else None,
        )
        use(plugins)
        result = train(TrialSpec.from_dict(spec), **arguments, on_epoch=lambda record: speaker.send(("epoch", record)))
        dist.destroy_process_group()
        speaker.send(("result", result))
    except BaseException as error:  # such as SystemExit in code of a user
        error.add_note(traceback.format_exc())
        speaker.send(("error", _sendable(error)))


def _sendable(error: BaseException) -> Exception:
    try:
        sent = pickle.loads(pickle.dumps(error))
        return sent if isinstance(sent, Exception) else RuntimeError(f"{type(error).__name__}: {error}")
    except Exception:  # its constructor has other arguments
        return RuntimeError(f"{type(error).__name__}: {error}")


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)
