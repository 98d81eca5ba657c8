"""One trial in several processes of its machine, as PyTorch's distributed training wants it.

Ray Train's TorchTrainer would need a placement group beside the trial's own, and took 20 s for a trial that takes none.
"""

import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from ...training import OutOfMemoryError, Record, TrainingInterrupted, TrialDirectory, TrialSpec, train
from ...training.plugins import Plugin, plugins_in_use, use

Members = dict[Any, SpawnProcess]
"""By the connections on which they are heard, whose types differ between operating systems."""

POLL_INTERVAL_S = 0.2
"""Seconds between two questions whether to stop."""
ERROR_WAIT_S = 1.0
"""Seconds after a failure in which the other processes may tell theirs."""


class ProcessDiedError(Exception):
    """One of a trial's processes was killed, or ended itself without a word."""


def train_together(
    trial: TrialSpec,
    directory: TrialDirectory,
    *,
    processes: int,
    accelerated: bool,
    on_epoch: Callable[[Record], None],
    stop: Callable[[], bool],
    **settings: Any,
) -> Record:
    """Trains a network as `train` does, in new processes that end with this one and with each other.

    Args:
        trial: what to train.
        directory: where its files are.
        processes: how many.
        accelerated: whether each has an accelerator: the one with its number.
        on_epoch: told each epoch's record.
        stop: asked several times a second whether to stop.
        settings: more arguments of `train`, for each process.

    Raises:
        ProcessDiedError: when a process ended without a word.
        Exception: what `train` raised in a process.
    """
    spawn = multiprocessing.get_context("spawn")
    members: Members = {}
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{Path(folder) / 'meeting'}"
        try:
            for rank in range(processes):
                listener, speaker = spawn.Pipe(duplex=False)
                device = f"cuda:{rank}" if accelerated else "cpu"
                place = {"init_method": meeting, "rank": rank, "world_size": processes}
                arguments = {"directory": directory, "device": device, **settings}
                what = trial.to_dict(), plugins_in_use()  # a method of a plugin's is known there once that is in use
                members[listener] = spawn.Process(target=_take_part, args=(what, place, arguments, speaker))
                members[listener].start()
                speaker.close()  # the process's own is the only one, so its death is heard
            return _outcome(members, on_epoch, stop)
        finally:
            for member in members.values():
                member.kill()
            for member in members.values():
                member.join()


def _outcome(members: Members, on_epoch: Callable[[Record], None], stop: Callable[[], bool]) -> Record:
    """The first process's result, once all have theirs. Raises the failure that the others are due to."""
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
        # The others complain that one has gone.
        causes = [
            failure
            for failure in failures
            if isinstance(failure, ProcessDiedError | TrainingInterrupted | OutOfMemoryError)
        ]
        raise (causes or failures)[0]
    return results[next(iter(members))]


def _death(member: SpawnProcess) -> Exception:
    member.join()
    if member.exitcode == -signal.SIGTERM:  # told to go before it heeded that
        return TrainingInterrupted("stopped before the first step")
    status = member.exitcode or 0
    cause = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    return ProcessDiedError(f"one of the trial's processes died: {cause}")


def _take_part(
    what: tuple[Record, tuple[Plugin, ...]], place: dict[str, Any], arguments: dict[str, Any], speaker: Connection
) -> None:
    """What each process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal; the process that began this one decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        accelerated = arguments["device"] != "cpu"
        if accelerated:
            torch.cuda.set_device(arguments["device"])
        dist.init_process_group("nccl" if accelerated else "gloo", **place)
        spec, plugins = what
        use(plugins)
        result = train(TrialSpec.from_dict(spec), **arguments, on_epoch=lambda record: speaker.send(("epoch", record)))
        dist.destroy_process_group()
        speaker.send(("result", result))
    except Exception as error:
        error.add_note(traceback.format_exc())
        speaker.send(("error", _sendable(error)))


def _sendable(error: Exception) -> Exception:
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:  # one with arguments of its own
        return RuntimeError(f"{type(error).__name__}: {error}")


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)
