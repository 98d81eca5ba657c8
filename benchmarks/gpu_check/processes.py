"""Functions that run at the same time in processes of their own, which use the GPU for the first time."""

import multiprocessing
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any


def in_processes(functions: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run the functions at the same time, each in a forked process, and return their results.

    The calling process must not have used the GPU.

    Raises:
        RuntimeError: if a function raises an error or its process dies.
    """
    fork = multiprocessing.get_context("fork")
    pipes = [fork.Pipe(duplex=False) for _ in functions]
    children = [
        fork.Process(target=_send, args=(function, sender))
        for function, (_, sender) in zip(functions, pipes, strict=True)
    ]
    for child in children:
        child.start()
    for _, sender in pipes:
        sender.close()
    results = []
    for receiver, _ in pipes:
        try:
            results.append(receiver.recv())
        except EOFError:
            results.append((False, "a process ended without a result; see its log"))
    for child in children:
        child.join()
    if errors := [result for succeeded, result in results if not succeeded]:
        raise RuntimeError(errors[0])
    return [result for _, result in results]


def _send(function: Callable[[], Any], sender: Connection) -> None:
    try:
        sender.send((True, function()))
    except Exception as error:
        traceback.print_exc()
        sender.send((False, f"{type(error).__name__}: {error}"))
