"""Training of one trial in several processes of one node, with PyTorch's distributed package.

Ray Train's TorchTrainer would need a second placement group, and it added 20 s to a trial.
"""

import datetime
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from ...store import Record, TrialFiles
from ...training import OutOfMemoryError, TrainingInterrupted, TrialSpec, train
from ...training.environment import prepare_deterministic
from ...training.plugins import Plugin, plugins_in_use, use

Members = dict[Any, SpawnProcess]
"""Processes by their connection, whose type differs between operating systems."""

COLLECTIVE_TIMEOUT = datetime.timedelta(hours=1)
"""Time that processes wait for each other: the first one may download a dataset or upload a checkpoint meanwhile."""
POLL_INTERVAL_S = 0.2
"""Seconds between two checks of the stop request."""
ERROR_WAIT_S = 1.0
"""Seconds after a failure in which the other processes can report theirs."""


@dataclass(frozen=True, kw_only=True)
class Rank:
    """Place of a process among those of a trial."""

    meeting: str
    """Path of the file through which the processes find each other."""
    rank: int
    processes: int
    """Number of processes."""


class ProcessDiedError(Exception):
    """Exit of one of a trial's processes without a result, for example after SIGKILL."""


def train_together(
    trial: TrialSpec,
    files: TrialFiles,
    *,
    processes: int,
    device: str,
    on_epoch: Callable[[Record], None],
    stop: Callable[[], bool],
    **settings: Any,
) -> Record:
    """Train a network as `train` does, in new processes that end with this one and with each other.

    Args:
        trial: trial to train.
        files: directory of the trial's files.
        processes: number of processes.
        device: `cpu`, or `cuda` if each process uses a GPU, the one with the number of its rank.
        on_epoch: function that is called with each epoch's record.
        stop: function that returns True to stop; it is called several times a second.
        settings: further arguments of `train`, the same for each process.

    Raises:
        ProcessDiedError: if a process ended without a result.
        Exception: the exception that `train` raised in a process.
    """
    spawn = multiprocessing.get_context("spawn")
    members: Members = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            for rank in range(processes):
                listener, speaker = spawn.Pipe(duplex=False)
                place = Rank(meeting=str(Path(folder) / "meeting"), rank=rank, processes=processes)
                arguments = {"files": files, "device": f"cuda:{rank}" if device == "cuda" else "cpu", **settings}
                what = trial.located, plugins_in_use()  # a plugin has to be loaded before its methods are parsed
                members[listener] = spawn.Process(target=_take_part, args=(what, place, arguments, speaker))
                members[listener].start()
                speaker.close()  # the child has the only copy, so its exit closes the pipe
            return _outcome(members, on_epoch, stop)
        finally:
            for member in members.values():
                member.kill()
            for member in members.values():
                member.join()


def _outcome(members: Members, on_epoch: Callable[[Record], None], stop: Callable[[], bool]) -> Record:
    """Return the first process's result once all have one. Raises the failure that caused the others."""
    listening = list(members)
    results: dict[Any, Record] = {}
    failures: list[Exception] = []
    told = False
    while listening:
        heard = wait(listening, timeout=ERROR_WAIT_S if failures else POLL_INTERVAL_S)
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
                    failures.append(_death(members[speaking]))
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
        # The other processes fail only because one has exited.
        causes = [
            failure
            for failure in failures
            if isinstance(failure, ProcessDiedError | TrainingInterrupted | OutOfMemoryError)
        ]
        raise (causes or failures)[0]
    return results[next(iter(members))]


def _death(member: SpawnProcess) -> Exception:
    member.join()
    if member.exitcode == -signal.SIGTERM:  # SIGTERM arrived before its handler was set
        return TrainingInterrupted("stopped before the first step")
    status = member.exitcode or 0
    cause = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    return ProcessDiedError(f"one of the trial's processes died: {cause}")


def _take_part(
    what: tuple[Record, tuple[Plugin, ...]], place: Rank, arguments: dict[str, Any], speaker: Connection
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
        # As part of a URL, such as that of `init_method`, the path could not contain a ? or #.
        store = dist.FileStore(place.meeting, place.processes)  # pyright: ignore[reportPrivateImportUsage]
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=store,
            rank=place.rank,
            world_size=place.processes,
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
